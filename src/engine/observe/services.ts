/** Units, as systemctl show prints them, and the stamps of what each has loaded. */
import type { ObservedNode, ObservedService } from '../../state/observed.ts'
import type { Unit } from '../../state/units.ts'
import { parseWhole } from './said.ts'
import { linesOf, splitOnce } from './sections.ts'

/** proc(5), pid_max: at most 2^22. */
const MOST_PID = 4_194_304

/** Of each of `units`, there or not. */
export function parseServices(units: readonly Unit[], text: string, loadedText: string): ObservedNode['services'] {
  const loaded = new Map(linesOf(loadedText).map(line => splitOnce(line, ' ')))
  const byUnit = new Map<string, Map<string, string>>()
  for (const block of text.split(/\n\s*\n/)) {
    const properties = new Map(linesOf(block).map(line => splitOnce(line, '=')))
    const id = properties.get('Id')
    if (id !== undefined) byUnit.set(id.replace(/\.service$/, ''), properties)
  }
  const service = (unit: Unit): ObservedService => {
    const properties = byUnit.get(unit)
    const stamp = loaded.get(unit)
    return {
      unit,
      load: properties?.get('LoadState') ?? 'not-found',
      active: properties?.get('ActiveState') ?? 'inactive',
      sub: properties?.get('SubState') ?? 'dead',
      unitFile: properties?.get('UnitFileState') ?? '',
      needsDaemonReload: properties?.get('NeedDaemonReload') === 'yes',
      mainPid: parseWhole(properties?.get('MainPID'), 0, MOST_PID) ?? 0,
      loadedHash: stamp === undefined || stamp === '' ? undefined : stamp,
    }
  }
  return Object.fromEntries(units.map(unit => [unit, service(unit)])) as ObservedNode['services']
}
