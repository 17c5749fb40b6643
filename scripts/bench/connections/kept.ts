/** The file that keeps the sums from run to run, by event, suite, build of hactl and state of the bench: hours of rounds are measured in pieces. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { messageOf, Stop } from '../../support/process.ts'
import { addFigures, type Figures } from './figures.ts'

interface Subject {
  readonly event: string
  readonly suite: string
  /** Of hactl. */
  readonly version: string
}

type Sums = Record<string, Figures>

export interface Kept {
  of(subject: Subject): Figures | undefined
  /** Adds a round, and writes the file before it returns the sum. */
  add(subject: Subject, round: Figures): Figures
}

/** Sums of what this bench measured, by its fingerprint: they are not added to those of another. Throws a Stop where the file is there and cannot be read. */
export function keptIn(file: string, bench: string): Kept {
  const sums = read(file)
  const keyOf = ({ event, suite, version }: Subject) => [event, suite, version, `bench ${bench}`].join(' | ')
  return {
    of: subject => sums[keyOf(subject)],
    add(subject, round) {
      const sum = addFigures(sums[keyOf(subject)], round)
      sums[keyOf(subject)] = sum
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(`${file}.new`, `${JSON.stringify(sums, undefined, 1)}\n`)
      renameSync(`${file}.new`, file)
      return sum
    },
  }
}

function read(file: string): Sums {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Sums
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {}
    throw new Stop(
      'the figures of former runs cannot be read',
      `${file}: ${messageOf(error)}`,
      `move the file away, or name another one with --figures`,
    )
  }
}
