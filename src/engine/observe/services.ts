/** Units, as systemctl show prints them, and the stamps of what each has loaded. */
import type { ObservedNode, ObservedOwnUnit, ObservedService } from '../../state/observed.ts'
import type { Unit } from '../../state/units.ts'
import { parseWhole } from './said.ts'
import { linesOf, splitOnce } from './sections.ts'

/** proc(5), pid_max: at most 2^22. */
const MOST_PID = 4_194_304

/** Of each of `units`, there or not. */
export function parseServices(units: readonly Unit[], text: string, loadedText: string): ObservedNode['services'] {
  const loaded = new Map(linesOf(loadedText).map(line => splitOnce(line, ' ')))
  const byId = propertiesById(text)
  const service = (unit: Unit): ObservedService => {
    const properties = byId.get(`${unit}.service`)
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

/** The services of hactl's own among them. */
export function parseOwnUnits(text: string): ObservedNode['ownUnits'] {
  const own = [...propertiesById(text)].filter(([id]) => id.startsWith('hactl-'))
  return Object.fromEntries(
    own.map(([id, properties]): [string, ObservedOwnUnit] => [
      id,
      { active: properties.get('ActiveState') ?? 'inactive', needsDaemonReload: properties.get('NeedDaemonReload') === 'yes' },
    ]),
  )
}

/** The properties of each unit, by its full name. */
function propertiesById(text: string): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const blocks = text.split(/\n\s*\n/).map(block => new Map(linesOf(block).map(line => splitOnce(line, '='))))
  return new Map(blocks.flatMap(properties => (properties.has('Id') ? [[properties.get('Id') ?? '', properties] as const] : [])))
}
