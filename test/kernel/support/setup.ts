/** vitest's global set-up of the kernel project: the bundle is built, the lab of real kernels is up. */
export async function setup(): Promise<void> {
  process.env['HACTL_LAB'] = 'kernel'
  const lab = await import('../../e2e/support/setup.ts')
  await lab.setup()
}
