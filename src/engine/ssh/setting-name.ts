import type { ConnectTarget, TargetSetting } from '../../ports.ts'

/** The operator's name for a setting: its key in the inventory, or the option on the command line in its place. */
export function settingName({ given, inventoryPath }: ConnectTarget, setting: TargetSetting): string {
  return given?.[setting] ?? `${inventoryPath}.${setting}`
}
