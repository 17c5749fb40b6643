/** What the shell would be reading at a given place of a shell text, as far as quoting is concerned. */
export type ShellContext = 'word' | 'single-quotes' | 'double-quotes' | 'backquotes' | 'arithmetic' | 'comment' | 'heredoc' | 'glued'

/** One open construct: quotes, or a $( ) / $(( )) / ${ } in which words start anew. */
type Frame =
  | { readonly kind: 'single' | 'double' | 'backquote' | 'comment' | 'arithmetic' | 'brace' }
  | { readonly kind: 'command'; parens: number }

/**
 * Follows the quoting rules of POSIX sh (Shell Command Language, sections 2.2, 2.3, 2.6 and 2.7.4) over text that arrives in parts,
 * so that `sh` can refuse a value at a place where quoting does not protect it.
 * Limit: an unbalanced ")" of a case pattern inside $( ) ends the substitution here; write such patterns as "(a)".
 */
export class ShellReader {
  readonly #frames: Frame[] = []
  #wordStart = true
  /** Delimiters of here-documents whose bodies begin after the next newline. */
  #announced: string[] = []
  #heredoc: string[] = []
  #line = ''
  /** The text ends in a character that would change what the next one means: a backslash, a $, or << without its word. */
  #isGlued = false

  /** Reads a value: part of a word, and of a here-document's line. */
  hole(): void {
    this.#wordStart = false
    this.#isGlued = false
    this.#line += '\0'
  }

  context(): ShellContext {
    if (this.#heredoc.length > 0) return 'heredoc'
    if (this.#isGlued) return 'glued'
    switch (this.#top()?.kind) {
      case 'single':
        return 'single-quotes'
      case 'double':
        return 'double-quotes'
      case 'backquote':
        return 'backquotes'
      case 'arithmetic':
        return 'arithmetic'
      case 'comment':
        return 'comment'
      case undefined:
      case 'brace':
      case 'command':
        return this.#inDoubleQuotedBrace() ? 'double-quotes' : 'word'
    }
  }

  /** Whether what follows must begin on a new line: this text ends in a comment, or in the end of a here-document. */
  needsNewline(): boolean {
    return this.#heredoc.length > 0 || this.#top()?.kind === 'comment'
  }

  /** What is still open at the end of a script; undefined where nothing is. */
  unclosed(): string | undefined {
    // The last line of a script need not end in a newline: it may be the delimiter itself.
    if (this.#heredoc.length === 1 && this.#line === this.#heredoc[0]) return undefined
    if (this.#heredoc.length > 0 || this.#announced.length > 0) return 'here-document'
    const top = this.#top()
    return top === undefined || top.kind === 'comment'
      ? undefined
      : top.kind === 'single' || top.kind === 'double'
        ? 'quotes'
        : 'substitution'
  }

  read(text: string): void {
    for (let i = 0; i < text.length; i++) i += this.#step(text, i)
  }

  #top(): Frame | undefined {
    return this.#frames.at(-1)
  }

  // "${x:-'a'}": single quotes are plain characters there, so a quoted value would not be protected.
  #inDoubleQuotedBrace(): boolean {
    return this.#top()?.kind === 'brace' && this.#frames.at(-2)?.kind === 'double'
  }

  /** Reads the character at `at`; returns how many more it consumed. */
  #step(text: string, at: number): number {
    const c = text[at] ?? ''
    if (this.#heredoc.length > 0) {
      if (c === '\n') this.#endHeredocLine()
      else this.#line += c
      return 0
    }
    const frame = this.#top()
    const wordStart = this.#wordStart
    this.#wordStart = false
    if (frame?.kind === 'comment') {
      if (c !== '\n') return 0
      this.#frames.pop()
      return this.#newline()
    }
    if (frame?.kind === 'single') {
      if (c === "'") this.#frames.pop()
      return 0
    }
    if (c === '\\') {
      this.#isGlued = at + 1 === text.length
      return 1
    }
    if (c === '`') {
      if (frame?.kind === 'backquote') this.#frames.pop()
      else this.#frames.push({ kind: 'backquote' })
      return 0
    }
    if (frame?.kind === 'backquote') return 0
    if (c === '"') {
      if (frame?.kind === 'double') this.#frames.pop()
      else this.#frames.push({ kind: 'double' })
      return 0
    }
    if (c === '$') return this.#dollar(text, at)
    if (frame?.kind === 'double') return 0
    if (frame?.kind === 'brace') {
      if (c === '}') this.#frames.pop()
      else if (c === "'" && !this.#inDoubleQuotedBrace()) this.#frames.push({ kind: 'single' })
      return 0
    }
    if (frame?.kind === 'arithmetic') {
      if (!text.startsWith('))', at)) return 0
      this.#frames.pop()
      return 1
    }
    return this.#word(c, text, at, wordStart, frame)
  }

  #dollar(text: string, at: number): number {
    if (text.startsWith('((', at + 1)) {
      this.#frames.push({ kind: 'arithmetic' })
      return 2
    }
    if (text[at + 1] === '(') {
      this.#frames.push({ kind: 'command', parens: 0 })
      this.#wordStart = true
      return 1
    }
    if (text[at + 1] === '{') {
      this.#frames.push({ kind: 'brace' })
      return 1
    }
    // $'...' is a kind of quotes of its own in bash and in POSIX since 2024.
    this.#isGlued = at + 1 === text.length
    return 0
  }

  #word(c: string, text: string, at: number, wordStart: boolean, frame: Frame | undefined): number {
    switch (c) {
      case "'":
        this.#frames.push({ kind: 'single' })
        return 0
      case '#':
        if (wordStart) this.#frames.push({ kind: 'comment' })
        return 0
      case '(':
        if (frame?.kind === 'command') frame.parens++
        this.#wordStart = true
        return 0
      case ')':
        if (frame?.kind === 'command' && frame.parens-- === 0) this.#frames.pop()
        this.#wordStart = true
        return 0
      case '<': {
        const heredoc = /^<<(-?)[ \t]*(?:'([^'\n]+)'|"([^"\n]+)"|\\?([A-Za-z0-9_]+))/.exec(text.slice(at))
        if (heredoc === null) {
          if (/^<<-?[ \t]*$/.test(text.slice(at))) this.#isGlued = true
          return 0
        }
        this.#announced.push(heredoc[2] ?? heredoc[3] ?? heredoc[4] ?? '')
        return heredoc[0].length - 1
      }
      case '\n':
        return this.#newline()
      case ' ':
      case '\t':
      case ';':
      case '&':
      case '|':
        this.#wordStart = true
        return 0
      default:
        return 0
    }
  }

  #newline(): 0 {
    this.#wordStart = true
    this.#heredoc = this.#announced
    this.#announced = []
    this.#line = ''
    return 0
  }

  #endHeredocLine(): void {
    // <<- removes leading tabs. A plain << does not end at a line that has them, so such a text is reported as unclosed.
    if (this.#line.replace(/^\t+/, '') === this.#heredoc[0]) this.#heredoc = this.#heredoc.slice(1)
    this.#line = ''
    if (this.#heredoc.length === 0) this.#wordStart = true
  }
}
