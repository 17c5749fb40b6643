import { execFileSync } from 'node:child_process'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { shellQuote } from '../../src/shell/quote.ts'
import { base64Literal, joinScripts, sh } from '../../src/shell/sh.ts'
import { HactlError } from '../../src/errors.ts'
import type { Script } from '../../src/ports.ts'
import { Secret } from '../../src/secret.ts'

const hostile = [
  '',
  ' ',
  "'",
  "''",
  "'\\''",
  '"',
  '\\',
  '\\\\',
  '\\n',
  '$(id)',
  '`id`',
  '$HOME',
  '${HOME}',
  '$((1+1))',
  '-rf',
  '--',
  '-e',
  '~',
  '~root',
  '*',
  '/etc/*',
  '[a-z]',
  '!',
  '!!',
  '#not a comment',
  'a;b',
  'a&b',
  'a|b',
  'a>b',
  'a\nb',
  '\n',
  'tail\n',
  '\ttab',
  '\r\n',
  '\u0001\u0007\u001b[31m',
  'grüß dich',
  '日本語',
  '👩‍👩‍👧',
  '\u202e',
  'EOF',
  '}',
  ')',
  'x'.repeat(10_000),
  "'".repeat(1_000),
]

function run(script: Script): Buffer {
  return execFileSync('/bin/sh', { input: script.raw, maxBuffer: 64 * 1024 * 1024 })
}

/** Reproducible strings of characters that mean something to a shell. */
function* randomStrings(count: number): Generator<string> {
  const alphabet = [
    "'",
    '"',
    '\\',
    '$',
    '(',
    ')',
    '`',
    '{',
    '}',
    ' ',
    '\n',
    ';',
    '&',
    '|',
    '<',
    '>',
    '*',
    '?',
    '#',
    '!',
    '-',
    'a',
    'é',
    '🙂',
  ]
  let state = 42
  const next = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
  for (let i = 0; i < count; i++) yield Array.from({ length: next(12) }, () => alphabet[next(alphabet.length)]).join('')
}

describe('values', () => {
  test('every hostile value arrives in the real /bin/sh byte for byte, one word each', () => {
    const values = [...hostile, ...randomStrings(2_000)]
    const printed = run(sh`printf '%s\\000' ${values}`)
    expect(printed.toString('utf8').split('\0').slice(0, -1)).toEqual(values)
  })

  test('a value beside text becomes one word with it', () => {
    expect(run(sh`printf '[%s]' --name=${'a b'} /var/lib/${'$x y'}.d`).toString()).toBe('[--name=a b][/var/lib/$x y.d]')
  })

  test('finite numbers are written unchanged, and others are refused', () => {
    expect(sh`install -m ${755} ${-1.5}`.raw).toBe('install -m 755 -1.5')
    expect(() => sh`sleep ${Number.NaN}`).toThrow(HactlError)
    expect(() => sh`sleep ${Number.POSITIVE_INFINITY}`).toThrow(HactlError)
  })

  test('a secret is quoted in the script and shown as *** in logs', () => {
    const script = sh`printf %s ${new Secret("it's")} > ${'/etc/x'}`
    expect(run(sh`printf %s ${new Secret("it's")}`).toString()).toBe("it's")
    expect(script.masked).toBe("printf %s *** > '/etc/x'")
    expect(script.masked + inspect(new Secret('x'))).not.toContain('it')
  })

  test('a script is spliced in unquoted, with its mask', () => {
    const inner = sh`printf %s ${new Secret('s3cret')}`
    const outer = sh`if true; then ${inner}; fi`
    expect(outer.raw).toBe("if true; then printf %s 's3cret'; fi")
    expect(outer.masked).toBe('if true; then printf %s ***; fi')
  })

  test('a list becomes words joined by a space, and an empty list becomes nothing', () => {
    expect(sh`echo ${['a', 'b c', 3, new Secret('z'), sh`"$x"`]}`.masked).toBe(`echo 'a' 'b c' 3 *** "$x"`)
    expect(sh`echo${[]};`.raw).toBe('echo;')
  })

  test('NUL and lone surrogates are refused with the reason', () => {
    expect(() => sh`echo ${'a\0b'}`).toThrow(/NUL/)
    expect(() => sh`echo ${'\ud800'}`).toThrow(/surrogate/)
    expect(() => sh`echo ${new Secret('\0')}`).toThrow(/NUL/)
    expect(() => shellQuote('\udc00x')).toThrow(/surrogate/)
    expect(() => base64Literal('\ud800')).toThrow(/surrogate/)
  })

  test('an object that only looks like a script is refused', () => {
    const forged: Script = { raw: 'rm -rf /', masked: '' }
    expect(() => sh`${forged}`).toThrow(HactlError)
    expect(() => joinScripts([forged])).toThrow(HactlError)
    expect(() => joinScripts([sh`true`, { ...sh`true` }])).toThrow(HactlError)
  })
})

describe('places where quoting would not protect a value', () => {
  const v = '$(id)'
  test.for<[string, () => Script]>([
    ['double quotes', () => sh`echo "${v}"`],
    ['double quotes after an escaped quote', () => sh`echo "a \\" ${v}"`],
    ['single quotes', () => sh`echo '${v}'`],
    ['a comment', () => sh`true # ${v}`],
    ['a comment after ;', () => sh`true;# ${v}`],
    ['a here-document', () => sh`cat <<EOF\n${v}\nEOF\n`],
    ['a here-document with tabs', () => sh`cat <<-'EOF'\n\t${v}\n\tEOF\n`],
    ['double quotes inside a substitution', () => sh`x=$(echo "${v}")`],
    ['backquotes', () => sh`echo \`echo ${v}\``],
    ['backquotes inside double quotes', () => sh`echo "\`echo ${v}\`"`],
    ['arithmetic', () => sh`echo $((1 + ${v}))`],
    ['after a backslash', () => sh`echo \\${v}`],
    ['after a $', () => sh`echo $${v}`],
    ['the end mark of a here-document', () => sh`cat << ${v}\nx\n`],
    ['a default value inside double quotes', () => sh`echo "\${x:-${v}}"`],
  ])('%s', ([, script]) => {
    expect(script).toThrow(/cannot be quoted/)
  })

  test.for<[string, () => Script, string]>([
    ['after closed quotes', () => sh`echo "a"'b' ${v}`, 'ab $(id)\n'],
    ['in a substitution inside double quotes', () => sh`echo "$(echo ${v})"`, '$(id)\n'],
    ['after a comment line', () => sh`# it's "\necho ${v}`, '$(id)\n'],
    ['a # inside a word', () => sh`echo a#b ${v} $#`, 'a#b $(id) 0\n'],
    ['after a here-document', () => sh`cat <<EOF\nit's "\nEOF\necho ${v}`, 'it\'s "\n$(id)\n'],
    ['after a shift in arithmetic', () => sh`echo $((1 << 2)) ${v}`, '4 $(id)\n'],
    ['in a case pattern', () => sh`case a in ${'a'}) echo ${v} ;; esac`, '$(id)\n'],
    ['in a subshell', () => sh`(echo ${v})`, '$(id)\n'],
    ['in a default value', () => sh`echo \${x:-${'a b'}}`, 'a b\n'],
    ['after an escaped quote', () => sh`echo \\" ${v}`, '" $(id)\n'],
  ])('allowed: %s', ([, script, printed]) => {
    expect(run(script()).toString()).toBe(printed)
  })

  test('a script that ends in open quotes, a substitution or a here-document is refused', () => {
    expect(() => sh`echo "a`).toThrow(/open quotes/)
    expect(() => sh`echo 'a`).toThrow(/open quotes/)
    expect(() => sh`echo $(a`).toThrow(/open substitution/)
    expect(() => sh`cat <<EOF\na`).toThrow(/open here-document/)
    expect(run(sh`cat <<EOF\na\nEOF`).toString()).toBe('a\n')
  })

  test('numbers are allowed in quotes, arithmetic, comments and here-documents', () => {
    expect(run(sh`echo "${1}" '${2}' $((${3} + 1)) # ${4}\ncat <<EOF\n${5}\nEOF\n`).toString()).toBe('1 2 4\n5\n')
    expect(() => sh`echo $${1}`).toThrow(/cannot be quoted/)
  })

  test('hostile values stay values in every place where a value is allowed', () => {
    for (const value of [...hostile, ...randomStrings(200)]) {
      const script = sh`x=${value}; printf '%s\\000' "$x"; y="$(printf %s ${value}x)"; printf '%s\\000' "\${y%x}"; case ${value} in ${value}) printf same;; esac`
      expect(run(script).toString('utf8')).toBe(`${value}\0${value}\0same`)
    }
  })

  test('a script that ends in a comment or a here-document is followed by a new line, or refused', () => {
    for (const open of [sh`true # why`, sh`cat <<EOF\na\nEOF`, sh`${sh`true # why`}`, joinScripts([sh`true`, sh`true # why`])]) {
      expect(() => sh`${open}; echo b`).toThrow(/new line/)
      expect(() => joinScripts([open, sh`echo b`], ' && ')).toThrow(/cannot be joined/)
      expect(run(sh`${open}\necho b`).toString()).toMatch(/b\n$/)
      expect(run(joinScripts([open, sh`echo b`])).toString()).toMatch(/b\n$/)
    }
  })

  test('an escape that JavaScript would silently drop is refused', () => {
    expect(() => sh`grep '\.conf'`).toThrow(/JavaScript would drop/)
    expect(() => sh`sed 's/\(a\)/\1/'`).toThrow(/JavaScript would drop/)
    expect(() => sh`echo \"`).toThrow(/JavaScript would drop/)
    expect(run(sh`printf 'a\\n%s\n' "\${HOME:+b}" | grep -c '^[ab]$'`).toString()).toBe('2\n')
  })
})

describe('joinScripts', () => {
  test('joins text and mask alike', () => {
    const joined = joinScripts([sh`a ${new Secret('x')}`, sh`b`])
    expect(joined).toEqual({ raw: "a 'x'\nb", masked: 'a ***\nb' })
    expect(joinScripts([sh`a`, sh`b`], ' && ').raw).toBe('a && b')
    expect(sh`${joined}`.raw).toBe(joined.raw)
  })
})

describe('base64Literal', () => {
  test('carries a megabyte of any bytes through the shell', () => {
    const bytes = Buffer.from(Array.from({ length: 1_000_000 }, (_, i) => (i * 31 + (i >> 8)) & 255))
    expect(run(sh`printf %s ${base64Literal(bytes)} | base64 -d`).equals(bytes)).toBe(true)
  })

  test('text is UTF-8, and empty text is an empty word', () => {
    expect(run(sh`printf %s ${base64Literal('grüß\n')} | base64 -d`).toString('utf8')).toBe('grüß\n')
    expect(base64Literal('').raw).toBe("''")
  })

  test('the mask names the size only', () => {
    const literal = base64Literal('auth_pass s3cret', { mask: true })
    expect(sh`printf %s ${literal}`.masked).toBe("printf %s '<16 bytes>'")
    expect(literal.raw).toContain(Buffer.from('auth_pass s3cret').toString('base64'))
  })
})
