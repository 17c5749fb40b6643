/** npm run check:on-server finds by itself what it checks. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../../scripts/support/places.ts'
import { programsIn } from '../../scripts/support/programs.ts'
import { tempFolder } from '../support/temp-folder.ts'

const temporary = tempFolder()

test('programs are found by their ending or their first line, in folders of folders, too', () => {
  const folder = temporary()
  mkdirSync(join(folder, 'a/b'), { recursive: true })
  const files = {
    'a/b/lab': '#!/usr/bin/env bash\n',
    'a/init': '#!/busybox sh\n',
    'a/common.sh': '# no first line\n',
    'a/port': '#!/usr/bin/perl -w\n',
    'a/sink.pl': '',
    'a/rules.py': '',
    'a/ask': '#!/usr/bin/env python3\n',
    'a/known.test.ts': '#!/bin/sh\n',
    'a/README.md': '#!/bin/sh\n',
    'a/run': '#!/usr/bin/env node\n',
    'a/empty': '',
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const { shell, perl, python } = programsIn([folder])
  const names = (paths: readonly string[]) => paths.map(path => relative(folder, path))
  expect(names(shell)).toEqual(['a/b/lab', 'a/common.sh', 'a/init'])
  expect(names(perl)).toEqual(['a/port', 'a/sink.pl'])
  expect(names(python)).toEqual(['a/ask', 'a/rules.py'])
})

test('the programs of the labs, of CI and of benchmarks are among them', () => {
  const { shell, perl } = programsIn(['.ci', 'test', 'scripts'].map(folder => join(root, folder)))
  const paths = [...shell, ...perl].map(path => relative(root, path))
  expect(paths).toEqual(
    expect.arrayContaining([
      '.ci/run',
      'scripts/bench/connections/ends.pl',
      'test/lab/common.sh',
      'test/lab/lab',
      'test/lab/image/mail/smtp-sink.pl',
      'test/kernel-lab/lab',
      'test/kernel-lab/access-port.pl',
      'test/kernel-lab/image/customize',
      'test/kernel-lab/image/init',
      'test/kernel-lab/image/make',
    ]),
  )
})
