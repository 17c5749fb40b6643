/** A strict reader of the XML that reports hold: throws at whatever is not well-formed. HTML is read by the browser test. */

export interface Element {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: readonly Element[]
  /** Of this element alone, entities resolved. */
  readonly text: string
}

interface Open {
  readonly name: string
  readonly attributes: Record<string, string>
  readonly children: Element[]
  text: string
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }

export function readXml(xml: string): Element {
  // XML 1.0, section 2.2: everything else is no character.
  // oxlint-disable-next-line no-control-regex -- these are the characters to find
  const illegal = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u.exec(xml)
  if (illegal !== null) throw new Error(`an illegal character at ${illegal.index}`)
  const root: Open = { name: '', attributes: {}, children: [], text: '' }
  const stack = [root]
  const body = xml.replace(/^<\?xml version="1.0" encoding="UTF-8"\?>\n/, '')
  const token = /<(\/?)([a-z][a-z-]*)((?:\s+[a-z]+="[^"<]*")*)\s*(\/?)>|([^<]+)/gy
  while (token.lastIndex < body.length) {
    const at = token.lastIndex
    const found = token.exec(body)
    if (found === null) throw new Error(`not well-formed at ${at}: ${body.slice(at, at + 60)}`)
    const [, closing, name = '', attributes = '', empty, text] = found
    const current = stack.at(-1) ?? root
    if (text !== undefined) current.text += resolve(text)
    else if (closing === '/') {
      if (current.name !== name) throw new Error(`</${name}> closes <${current.name}>`)
      stack.pop()
    } else {
      const element: Open = { name, attributes: readAttributes(attributes), children: [], text: '' }
      current.children.push(element)
      if (empty !== '/') stack.push(element)
    }
  }
  const [only, ...more] = root.children
  if (stack.length > 1 || only === undefined || more.length > 0) throw new Error('not one root element')
  return only
}

function readAttributes(text: string): Record<string, string> {
  const attributes: Record<string, string> = {}
  for (const [, name = '', value = ''] of text.matchAll(/([a-z]+)="([^"]*)"/g)) {
    if (name in attributes) throw new Error(`the attribute ${name} twice`)
    attributes[name] = resolve(value)
  }
  return attributes
}

function resolve(text: string): string {
  return text.replace(/&([^;\s]*);?/g, (whole, name: string) => {
    const character = ENTITIES[name]
    if (character === undefined || !whole.endsWith(';')) throw new Error(`the entity ${whole}`)
    return character
  })
}
