import { describe, expect, test } from 'vitest'
import { parseYaml, renderYaml, renderYamlInline } from '../src/yaml.ts'

const problemOf = (text: string) => parseYaml(text).problems.map(({ message, place }) => ({ message, place }))

describe('parseYaml', () => {
  test('gives the value and the place of each of its parts', () => {
    const document = parseYaml('a: 1\nb:\n  - c: "x"\n    d: [y, z]\n')
    expect(document.value).toEqual({ a: 1, b: [{ c: 'x', d: ['y', 'z'] }] })
    expect(document.placeOf(['a'], 'key')).toEqual({ line: 1, column: 1 })
    expect(document.placeOf(['a'], 'value')).toEqual({ line: 1, column: 4 })
    expect(document.placeOf(['b', 0, 'c'], 'value')).toEqual({ line: 3, column: 8 })
    expect(document.placeOf(['b', 0, 'd', 1], 'value')).toEqual({ line: 4, column: 12 })
  })

  test('places what is missing at its nearest parent, and an empty value at its key', () => {
    const document = parseYaml('a:\n  - b: 1\n    c:\n')
    expect(document.placeOf(['a', 0, 'missing', 3], 'value')).toEqual({ line: 2, column: 5 })
    expect(document.placeOf(['a', 0, 'c'], 'value')).toEqual({ line: 3, column: 5 })
  })

  test('counts columns without the byte order mark and lines with any line end', () => {
    expect(parseYaml('\uFEFFa: 1').placeOf(['a'], 'value')).toEqual({ line: 1, column: 4 })
    expect(parseYaml('a: 1\r\nb: 2').placeOf(['b'], 'key')).toEqual({ line: 2, column: 1 })
  })

  test('reports every duplicate key, not only the first', () => {
    expect(problemOf('a: 1\na: 2\nb: { c: 1, c: 2 }\n')).toEqual([
      { message: 'the key is listed twice; the first is on line 1', place: { line: 2, column: 1 } },
      { message: 'the key is listed twice; the first is on line 3', place: { line: 3, column: 12 } },
    ])
  })

  test('reports two spellings of one number as a duplicate key', () => {
    expect(problemOf('0x10: a\n16: b\n')).toEqual([{ message: 'duplicated mapping key', place: { line: 2, column: 1 } }])
  })

  test('reads words as YAML 1.2 does: yes and 2026-01-01 are text', () => {
    expect(parseYaml('[yes, 2026-01-01, 12:30:45, true]').value).toEqual(['yes', '2026-01-01', '12:30:45', true])
  })

  test('follows anchors and merge keys', () => {
    expect(parseYaml('a: &x { b: 1 }\nc: { <<: *x, d: 2 }').value).toEqual({ a: { b: 1 }, c: { b: 1, d: 2 } })
  })

  test.for([
    ['a tab for indentation', 'a:\n\t- b', 'a tab is used for indentation', 2],
    ['an open bracket', 'a: [1,', 'a bracket is not closed, or its content is not indented', 1],
    ['an open quote', 'a: "x', 'a quote is not closed', 1],
    ['a line without a key', 'a: 1\nb\n', 'this line has no "key:", and no line above continues here', 2],
    ['too much nesting', `a:\n  ${'['.repeat(60)}`, 'the file is nested more than 30 levels deep', 2],
    ['a second document', 'a: 1\n---\nb: 2', 'the file holds several YAML documents', 3],
    ['bytes that are no UTF-8', `a: 1\nb: ${Buffer.from([0xff]).toString('utf8')}`, 'the file is not UTF-8 text', 2],
    ['a key that is a list', '? [a]\n: b', 'a key must be plain text', 1],
    ['a key that objects inherit from', '__proto__: { a: 1 }', 'this key is not allowed', 1],
  ] as const)('reports %s with its line', ([, text, message, line]) => {
    expect(parseYaml(text).problems).toEqual([expect.objectContaining({ message, place: expect.objectContaining({ line }) })])
  })

  test('refuses a file of more than 1 MiB without reading it', () => {
    expect(problemOf(`a: ${'x'.repeat(1024 * 1024)}`)).toEqual([{ message: 'the file is larger than 1 MiB', place: undefined }])
  })

  test('refuses aliases that multiply beyond measure, and one that contains itself', () => {
    const levels = Array.from('abcdefgh').map(
      (name, i) =>
        `${name}: &${name} [${Array(10)
          .fill(i === 0 ? 'x' : `*${'abcdefgh'[i - 1]}`)
          .join(', ')}]`,
    )
    expect(problemOf(levels.join('\n'))).toEqual([{ message: 'too many values once aliases are followed', place: undefined }])
    expect(problemOf('a: &a [*a]')).toEqual([{ message: 'an alias that contains itself', place: undefined }])
  })

  test.for([
    'auth_pass: *hunter2',
    'auth_pass: !hunter2 x',
    'auth_pass: !<hunter2> x',
    'auth_pass: !hunter2!x y',
    '%TAG !hunter2! x\n---\na: !!hunter2 1',
  ])('does not repeat what may be an unquoted secret: %s', text => {
    const { problems } = parseYaml(text)
    expect(problems).toHaveLength(1)
    expect(JSON.stringify(problems)).not.toContain('hunter2')
  })
})

describe('renderYaml', () => {
  test.for(['yes', '0644', '1.10', '*:443', 'a: b', '# x', ' x ', '', 'null', '-', '!x', '@x', '`x', '"', "'", '\\'])(
    'writes text that stays text: %s',
    text => {
      expect(parseYaml(renderYaml({ key: [text] })).value).toEqual({ key: [text] })
      expect(parseYaml(`key: ${renderYamlInline([text])}`).value).toEqual({ key: [text] })
    },
  )

  test('writes a mapping on one line with room in its brackets', () => {
    expect(renderYamlInline({ name: 'srv-1', host: '192.0.2.11' })).toBe('{ name: srv-1, host: 192.0.2.11 }')
  })
})
