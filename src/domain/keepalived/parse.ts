/** keepalived.conf as a tree: blocks, words, line numbers. It reads the file as keepalived does and never judges it. */

/** A line of words, with the block that follows it where there is one. */
export interface ConfNode {
  /** 1-based. */
  readonly line: number
  /** Keyword first; quotes are taken off. */
  readonly words: readonly string[]
  /** Undefined for a plain line; the lines of the block otherwise. */
  readonly children: readonly ConfNode[] | undefined
}

interface ConfProblem {
  readonly line: number
  readonly message: string
}

export interface KeepalivedConf {
  readonly nodes: readonly ConfNode[]
  /** What could not be read as keepalived reads it: unbalanced braces, open quotes. */
  readonly problems: readonly ConfProblem[]
  /** Files that keepalived reads too and that are not part of this tree. */
  readonly includes: readonly { readonly line: number; readonly path: string }[]
}

/**
 * Words of one line: blanks separate, double and single quotes hold a word together, `!` and `#` start a comment outside of them
 * (keepalived.conf(5), "COMMENTS" and "QUOTED STRINGS"), and braces are words of their own, also at the end of a word.
 */
function tokens(line: string): { readonly words: readonly string[]; readonly openQuote: boolean } {
  const words: string[] = []
  let word: string | undefined
  let quote: string | undefined
  const end = (): void => {
    if (word !== undefined) words.push(word)
    word = undefined
  }
  for (const c of line) {
    if (quote !== undefined) {
      if (c === quote) quote = undefined
      else word = (word ?? '') + c
    } else if (c === '!' || c === '#') {
      break
    } else if (c === '"' || c === "'") {
      quote = c
      word ??= ''
    } else if (/\s/.test(c)) {
      end()
    } else if (c === '{' || c === '}') {
      end()
      words.push(c)
    } else {
      word = (word ?? '') + c
    }
  }
  end()
  return { words, openQuote: quote !== undefined }
}

interface Open {
  readonly line: number
  readonly nodes: ConfNode[]
}

/** Never throws: faults are in `problems`, everything else is in the tree. */
export function parseKeepalivedConf(text: string): KeepalivedConf {
  const root: Open = { line: 0, nodes: [] }
  const stack: Open[] = [root]
  const problems: ConfProblem[] = []
  const includes: { line: number; path: string }[] = []
  const top = (): Open => stack.at(-1) ?? root
  text.split('\n').forEach((raw, index) => {
    const line = index + 1
    const { words, openQuote } = tokens(raw)
    if (openQuote) problems.push({ line, message: 'a quote is opened and not closed on this line' })
    let plain: string[] = []
    const flush = (): void => {
      if (plain.length > 0) top().nodes.push({ line, words: plain, children: undefined })
      if (/^include[rmwab]*$/.test(plain[0] ?? '')) includes.push({ line, path: plain[1] ?? '' })
      plain = []
    }
    for (const word of words) {
      if (word === '{') {
        const children: ConfNode[] = []
        const previous = top().nodes.at(-1)
        // The brace may be on a line of its own: it opens the block of the line before.
        if (plain.length === 0 && previous !== undefined && previous.children === undefined) {
          top().nodes.splice(-1, 1, { ...previous, children })
        } else {
          if (plain.length === 0) problems.push({ line, message: 'a block without a keyword' })
          top().nodes.push({ line, words: plain, children })
        }
        plain = []
        stack.push({ line, nodes: children })
      } else if (word === '}') {
        flush()
        if (stack.length > 1) stack.pop()
        else problems.push({ line, message: 'a closing brace without an open block' })
      } else {
        plain.push(word)
      }
    }
    flush()
  })
  for (const open of stack.slice(1)) problems.push({ line: open.line, message: 'the block opened here is never closed' })
  return { nodes: root.nodes, problems, includes }
}

/** The first child of this keyword. */
export function child(node: ConfNode | undefined, keyword: string): ConfNode | undefined {
  return node?.children?.find(n => n.words[0] === keyword)
}

/** The word after the keyword of the first child of this name: `priority 100` gives "100". */
export function valueOf(node: ConfNode | undefined, keyword: string): string | undefined {
  return child(node, keyword)?.words[1]
}

/** The lines of a list block such as virtual_ipaddress, each as its words. Several blocks of one name count together. */
export function listOf(node: ConfNode | undefined, keyword: string): readonly ConfNode[] {
  return node?.children?.filter(n => n.words[0] === keyword).flatMap(n => n.children ?? []) ?? []
}
