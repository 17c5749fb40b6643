/** Every path under the folder in which hactl keeps its state on a server (docs/server-state.md). Nobody else spells one. */
import { type sh, shWith } from '../../shell/sh.ts'
import { variablesOf } from '../../shell/library.ts'
import { MEMBERS, STATE_DIR } from '../../state/places.ts'

const LOCK_DIR = `${STATE_DIR}/lock`
const ORIGINAL_DIR = `${STATE_DIR}/original`

/** By the names of the variables that files of src/on-server are given. */
export const STATE = {
  STATE_DIR,
  FORMAT: `${STATE_DIR}/format`,
  OWNED: `${STATE_DIR}/owned`,
  MEMBERS,
  INSTALLED: `${STATE_DIR}/installed`,
  LOADED_DIR: `${STATE_DIR}/loaded`,
  ORIGINAL_DIR,
  ORIGINAL_UNITS: `${ORIGINAL_DIR}/units`,
  ORIGINAL_SYSCTLS: `${ORIGINAL_DIR}/sysctl`,
  HISTORY_DIR: `${STATE_DIR}/history`,
  RUNS_DIR: `${STATE_DIR}/runs`,
  UPGRADING: `${STATE_DIR}/upgrading`,
  LOCK_DIR,
  LOCK_INFO: `${LOCK_DIR}/info`,
  LOCK_BEAT: `${LOCK_DIR}/beat`,
  LOCK_MUTEX: `${STATE_DIR}/lock.mutex`,
  SWITCH_MUTEX: `${STATE_DIR}/switch.mutex`,
  GIVEN_BACK: `${STATE_DIR}/given-back`,
  THEIRS: `${STATE_DIR}/theirs`,
  THEIR_LINKS: `${STATE_DIR}/links`,
  REMOVE_LOG: `${STATE_DIR}/remove.log`,
  // In the folder of a run:
  STAGED_IN_RUN: 'staged',
  PREVIOUS_IN_RUN: 'previous',
  RECORD_IN_RUN: 'previous/record',
  OWNED_IN_RUN: 'previous/owned',
  ENTRY_IN_RUN: 'entry.json',
  UNDONE_IN_RUN: 'undone',
} as const

/** As shWith: what the file declares of the layout is given to it besides. */
export function onState(file: string, given: Readonly<Record<string, string | number>> = {}): typeof sh {
  const wanted = variablesOf(file)
  return shWith(file, { ...Object.fromEntries(Object.entries(STATE).filter(([name]) => wanted.includes(name))), ...given })
}
