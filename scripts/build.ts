// Bundles src/main.ts into dist/hactl.mjs and the parts that it loads on demand.
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { build as bundle, type Plugin } from 'esbuild'
import { root } from './support/places.ts'

const dist = join(root, 'dist')

/** inquirer brings an editor prompt that hactl never shows, and with it half a megabyte of character tables. */
const withoutEditor: Plugin = {
  name: 'without-editor',
  setup(build) {
    build.onResolve({ filter: /^@inquirer\/editor$/ }, () => ({ path: 'editor', namespace: 'without-editor' }))
    build.onLoad({ filter: /.*/, namespace: 'without-editor' }, () => ({
      contents: "export default () => { throw new Error('hactl was built without the editor prompt') }",
    }))
  },
}

/** The programs that run on servers, as text in place of the module that reads them from its own folder. */
const onServer: Plugin = {
  name: 'on-server',
  setup(build) {
    build.onLoad({ filter: /[/]src[/]on-server[/]files[.]ts$/ }, async ({ path }) => {
      const folder = dirname(path)
      const names = (await readdir(folder)).filter(name => name !== 'files.ts')
      const files = Object.fromEntries(await Promise.all(names.map(async name => [name, await readFile(join(folder, name), 'utf8')])))
      return { contents: `const FILES = ${JSON.stringify(files)}\nexport const onServer = name => FILES[name]` }
    })
  },
}

const { outputFiles } = await bundle({
  // A build that fails must leave the last good one alone.
  write: false,
  absWorkingDir: root,
  entryPoints: { hactl: 'src/main.ts' },
  outdir: dist,
  outExtension: { '.js': '.mjs' },
  chunkNames: 'parts/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.17',
  minifySyntax: true,
  minifyWhitespace: true,
  keepNames: true,
  // Optional native parts of ssh2: it does without them.
  external: ['cpu-features', '*.node'],
  // CommonJS packages in an ES module: they still ask for these two.
  define: { __dirname: 'import.meta.dirname' },
  banner: { js: "import { createRequire as hactlRequire } from 'node:module'; const require = hactlRequire(import.meta.url);" },
  plugins: [withoutEditor, onServer],
  logLevel: 'warning',
})
await rm(dist, { recursive: true, force: true })
for (const { path, contents } of outputFiles) {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, contents)
}
await chmod(join(dist, 'hactl.mjs'), 0o755)
