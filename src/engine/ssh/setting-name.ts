import type { ConnectTarget, TargetSetting } from '../../ports.ts'

/** What the operator calls a setting: its key in the inventory, or what stood on the command line in its place. */
export function settingName({ given, inventoryPath }: ConnectTarget, setting: TargetSetting): string {
  return given?.[setting] ?? `${inventoryPath}.${setting}`
}
