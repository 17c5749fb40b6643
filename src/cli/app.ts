import type { AppFunctions } from './app-contract.ts'

/** The app layer, each part loaded when a command asks for it: a command that needs no SSH never loads SSH. */
export const app: AppFunctions = {
  check: missing,
  checkConf: missing,
  plan: missing,
  deploy: missing,
  status: missing,
  verifyFailover: missing,
  unlock: missing,
  buildInventory: missing,
}

function missing(): never {
  throw new Error('the app layer is not there yet')
}
