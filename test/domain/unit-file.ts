/** What a drop-in runs: the words of an Exec line, whose failure systemd ignores (systemd.service(5), "COMMAND LINES"). */
export function hookCall(unitText: string, key: string): readonly string[] {
  const line = unitText.split('\n').find(text => text.startsWith(`${key}=`))
  const match = /^\w+=-(\/[\w./-]+(?: [\w-]+)*)$/.exec(line ?? '')
  if (match === null) throw new Error(`no ${key} of that form in ${unitText}`)
  return match[1]?.split(' ') ?? []
}

/**
 * Lines of a unit or drop-in for which no comment gives a reason. A comment counts for all lines up to the next comment, section or empty line.
 * What is described, run or wanted by whom needs none.
 */
export function linesWithoutReason(unitText: string): readonly string[] {
  let hasReason = false
  return unitText.split('\n').filter(line => {
    if (line === '' || line.startsWith('[')) hasReason = false
    else if (line.startsWith('#')) hasReason = true
    else return !hasReason && !/^(?:Description|Exec\w+|WantedBy)=/.test(line)
    return false
  })
}
