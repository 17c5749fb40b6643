import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Tests on the lab's servers, one file after the other. */
const onTheLab = {
  globalSetup: ['test/e2e/support/setup.ts'],
  fileParallelism: false,
  maxWorkers: 1,
  testTimeout: 120_000,
  hookTimeout: 240_000,
  // Three servers, the load and the judge share this machine's cores: one lost packet may be its fault, the same one twice is ours.
  // The run says which tests it tried twice.
  retry: 1,
}

/** The lab of real kernels makes its servers anew for a file that needs bare ones, which takes minutes: that file comes first. */
const BARE_FIRST = ['cluster', 'power-cut', 'wan', 'bond-vlan']

class Sequencer extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = BARE_FIRST.findIndex(name => moduleId.endsWith(`kernel/${name}.test.ts`))
      return at === -1 ? BARE_FIRST.length : at
    }
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b))
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: Sequencer },
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          // Half of them wait for real shells and for limits: one worker more than there are cores keeps all cores busy.
          maxWorkers: availableParallelism() + 1,
          // Loading src anew for each file costs a tenth of all. A test gives back what it changes of the process: environment, random numbers.
          isolate: false,
          include: ['test/**/*.test.ts'],
          exclude: ['test/lab/**', 'test/e2e/**', 'test/releases/**', 'test/kernel/**'],
          // A limit against hanging, not a claim about speed: on a busy machine a real shell takes its time.
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'lab',
          include: ['test/e2e/**/*.test.ts'],
          ...onTheLab,
        },
      },
      {
        extends: true,
        test: {
          // What differs by release: `npm run test:releases` runs it on every one.
          name: 'releases',
          include: ['test/releases/**/*.test.ts'],
          ...onTheLab,
        },
      },
      {
        extends: true,
        test: {
          // What only a kernel of its own can show: `npm run test:kernel` runs it on the lab of real kernels.
          name: 'kernel',
          include: ['test/kernel/**/*.test.ts'],
          ...onTheLab,
          globalSetup: ['test/kernel/support/setup.ts'],
          env: { HACTL_LAB: 'kernel' },
          // Limits against hanging: under emulation, and on a busy machine, everything takes its time.
          retry: 0,
          testTimeout: 900_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
})
