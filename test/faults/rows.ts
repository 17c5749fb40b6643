/** All rows of the table, in its order. */
import type { Row } from './row.ts'
import { cut, stall } from './rows/cut.ts'
import { diskFull } from './rows/disk-full.ts'
import { hostile } from './rows/hostile.ts'
import { kill } from './rows/kill.ts'
import { load } from './rows/load.ts'
import { reboot } from './rows/reboot.ts'
import { hostKeyHashed, hostKeyPlain, hostKeyPort, lockHeld, wrongKey, wrongSudo } from './rows/refused.ts'

export const ROWS: readonly Row[] = [
  kill,
  cut,
  stall,
  reboot,
  diskFull,
  lockHeld,
  hostKeyPlain,
  hostKeyHashed,
  hostKeyPort,
  wrongKey,
  wrongSudo,
  hostile,
  load,
]
