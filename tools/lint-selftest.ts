import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/**
 * Proves that the linter can fail. A linter that resolves nothing reports nothing and looks like a
 * clean tree, so breaches of each law are planted in a throw-away tree with the real configuration,
 * and each must be found by the rule that is meant to find it.
 */
interface Breach {
  readonly law: string;
  readonly file: string;
  readonly text: string;
  readonly rule: string;
}

const BREACHES: readonly Breach[] = [
  {
    law: 'a lower layer imports from a higher one',
    file: 'src/wire/upwards.ts',
    text: "import { peer } from '../session/peer.ts';\nexport const used = peer;\n",
    rule: 'no-restricted-imports',
  },
  {
    law: 'a lower layer imports a type from a higher one',
    file: 'src/topology/upwards-type.ts',
    text: "import type { Peer } from '../session/peer.ts';\nexport const used = (peer: Peer): Peer => peer;\n",
    rule: 'no-restricted-imports',
  },
  {
    law: 'a folder imports from a sibling of its layer',
    file: 'src/sql/sideways.ts',
    text: "import { sibling } from '../wire/sibling.ts';\nexport const used = sibling;\n",
    rule: 'no-restricted-imports',
  },
  {
    law: 'a nested file imports from a higher layer',
    file: 'src/wire/packets/nested.ts',
    text: "import { peer } from '../../session/peer.ts';\nexport const used = peer;\n",
    rule: 'no-restricted-imports',
  },
  {
    law: 'a nested file imports the composition root',
    file: 'src/session/reads/nested.ts',
    text: "import { peer } from '../../app.ts';\nexport const used = peer;\n",
    rule: 'no-restricted-imports',
  },
  {
    law: 'a third-party package is used outside of its folder',
    file: 'src/session/confined.ts',
    text: "import { pino } from 'pino';\nexport const used = pino;\n",
    rule: 'no-restricted-imports',
  },
  {
    law: 'a subpath of a third-party package is used outside of its folder',
    file: 'src/net/confined-subpath.ts',
    text: "import { createPool } from 'mysql2/promise';\nexport const used = createPool;\n",
    rule: 'no-restricted-imports',
  },
  {
    law: 'a pure folder touches sockets',
    file: 'src/sql/impure.ts',
    text: "import { connect } from 'node:net';\nexport const used = connect;\n",
    rule: 'no-restricted-imports',
  },
  {
    law: 'two files import each other',
    file: 'src/net/cycle-a.ts',
    text: "import { b } from './cycle-b.ts';\nexport const a = (): unknown => b;\n",
    rule: 'no-cycle',
  },
  {
    law: 'a promise is left floating',
    file: 'src/net/floating.ts',
    text: 'export function run(): void {\n  Promise.resolve(1);\n}\n',
    rule: 'no-floating-promises',
  },
  {
    law: 'a switch over a union leaves a case out',
    file: 'src/net/not-exhaustive.ts',
    text: "export function of(word: 'a' | 'b'): number {\n  switch (word) {\n    case 'a':\n      return 1;\n  }\n  return 2;\n}\n",
    rule: 'switch-exhaustiveness-check',
  },
  {
    law: 'any is used',
    file: 'src/net/any.ts',
    text: 'export const of = (value: any): unknown => value;\n',
    rule: 'no-explicit-any',
  },
  {
    law: 'null is asserted away',
    file: 'src/net/non-null.ts',
    text: 'export const of = (value: string | null): string => value!;\n',
    rule: 'no-non-null-assertion',
  },
  {
    law: 'a file is longer than 300 lines',
    file: 'src/net/long.ts',
    text: Array.from({ length: 301 }, (_, n) => `export const line${n} = ${n};\n`).join(''),
    rule: 'max-lines',
  },
];

/** What the breaches refer to; nothing may be reported in these. */
const INNOCENT: readonly (readonly [string, string])[] = [
  ['src/session/peer.ts', 'export interface Peer {\n  id: number;\n}\nexport const peer = 1;\n'],
  ['src/app.ts', 'export const peer = 1;\n'],
  ['src/wire/sibling.ts', 'export const sibling = 1;\n'],
  ['src/net/cycle-b.ts', "import { a } from './cycle-a.ts';\nexport const b = (): unknown => a;\n"],
  [
    'src/session/downwards.ts',
    "import { sibling } from '../wire/sibling.ts';\nexport const used = sibling;\n",
  ],
];

/** @returns the laws whose breach was not found, and false alarms; empty when the linter works */
export function lintSelftest(root: string): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'lagwise-lint-'));
  try {
    for (const name of ['oxlint.config.ts', 'tsconfig.json', 'package.json']) {
      copyFileSync(join(root, name), join(folder, name));
    }
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    for (const { file, text } of BREACHES) plant(folder, file, text);
    for (const [file, text] of INNOCENT) plant(folder, file, text);
    return judge(reportOf(folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function plant(folder: string, file: string, text: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), text);
}

interface Finding {
  readonly code: string;
  readonly filename: string;
}

function reportOf(folder: string): readonly Finding[] {
  const done = spawnSync('oxlint', ['--type-aware', '--format', 'json', 'src'], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 120_000,
  });
  if (done.error !== undefined) throw done.error;
  const report: unknown = JSON.parse(done.stdout);
  if (typeof report !== 'object' || report === null || !('diagnostics' in report)) return [];
  return Array.isArray(report.diagnostics) ? report.diagnostics : [];
}

function judge(findings: readonly Finding[]): readonly string[] {
  const found = (file: string, rule: string) =>
    findings.some(({ filename, code }) => filename.endsWith(file) && code.includes(`(${rule})`));
  const missed = BREACHES.filter(({ file, rule }) => !found(file, rule)).map(
    ({ law, rule, file }) => `not found: ${law} (${rule} in ${file})`,
  );
  const alarms = findings
    .filter(({ filename }) => INNOCENT.some(([file]) => filename.endsWith(file)))
    // Both files of a cycle are part of it.
    .filter(({ code }) => !code.includes('(no-cycle)'))
    .map(({ filename, code }) => `false alarm: ${code} in ${filename}`);
  return [...missed, ...alarms];
}
