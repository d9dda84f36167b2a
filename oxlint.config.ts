import { defineConfig } from 'oxlint';

/**
 * The layers of ARCHITECTURE.md, lowest first. A folder may import from strictly lower layers and
 * from itself; type-only imports count. Everything below is generated from this one table.
 */
const LAYERS: readonly (readonly string[])[] = [
  ['lib'],
  ['wire', 'auth', 'sql', 'gtid', 'config'],
  ['topology'],
  ['routing'],
  ['net', 'telemetry'],
  ['pool', 'monitor', 'failover', 'coordination', 'lab'],
  ['session'],
  ['cli', 'demo', 'admin', 'app', 'main', 'version'],
];

/** L0–L2 are pure: no sockets, timers, files or npm packages (config's schema library aside). */
const PURE = new Set(['lib', 'wire', 'auth', 'sql', 'gtid', 'config', 'routing', 'topology']);

/** Each third-party package and the folders it is confined to. */
const CONFINED: Record<string, readonly string[]> = {
  mysql2: ['monitor', 'failover', 'lab', 'demo'],
  ioredis: ['coordination'],
  'prom-client': ['telemetry'],
  pino: ['telemetry'],
  testcontainers: ['lab'],
  selfsigned: ['net'],
  zod: ['config'],
  commander: ['cli', 'main'],
};

const IMPURE_BUILTINS = ['net', 'tls', 'http', 'https', 'dgram', 'dns', 'child_process', 'timers'];

function layerRules(layerIndex: number, folder: string) {
  const above = LAYERS.slice(layerIndex)
    .flat()
    .filter((name) => name !== folder && !(layerIndex === LAYERS.length - 1));
  const patterns: { group: string[]; message: string }[] = [];
  if (above.length > 0) {
    patterns.push({
      group: above.flatMap((name) => [
        `../${name}/**`,
        `../../${name}/**`,
        `../${name}.ts`,
        `../../${name}.ts`,
      ]),
      message: `src/${folder} may import only from lower layers (see ARCHITECTURE.md)`,
    });
  }
  const foreign = Object.entries(CONFINED)
    .filter(([, homes]) => !homes.includes(folder))
    .flatMap(([name]) => [name, `${name}/**`]);
  patterns.push({
    group: foreign,
    message: `this package is confined to another folder (see oxlint.config.ts), not src/${folder}`,
  });
  if (PURE.has(folder)) {
    patterns.push({
      group: IMPURE_BUILTINS.flatMap((name) => [`node:${name}`, `node:${name}/**`]),
      message: `src/${folder} is pure: it touches no socket, process or timer`,
    });
  }
  return { 'no-restricted-imports': ['error', { patterns }] as const };
}

export default defineConfig({
  plugins: ['typescript', 'unicorn', 'import', 'oxc', 'promise', 'node'],
  categories: { correctness: 'error', suspicious: 'error' },
  options: { typeAware: true },
  ignorePatterns: ['dist/**', 'node_modules/**', 'coverage/**'],
  rules: {
    'import/no-cycle': ['error', { ignoreTypes: false }],
    'import/no-default-export': 'error',
    'import/no-unassigned-import': 'off',
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/switch-exhaustiveness-check': [
      'error',
      { considerDefaultExhaustiveForUnions: true },
    ],
    'typescript/no-explicit-any': 'error',
    'typescript/no-non-null-assertion': 'error',
    'typescript/consistent-type-imports': 'error',
    'typescript/no-unsafe-type-assertion': 'off',
    'typescript/consistent-return': 'off',
    'unicorn/prefer-node-protocol': 'error',
    'unicorn/consistent-function-scoping': 'off',
    'unicorn/no-array-sort': 'off',
    'promise/always-return': 'off',
    'no-console': 'error',
    'no-shadow': 'off',
    'no-underscore-dangle': 'off',
    'no-await-in-loop': 'off',
    'prefer-const': 'error',
    eqeqeq: 'error',
    'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
    'max-params': ['error', { max: 5 }],
  },
  overrides: [
    ...LAYERS.flatMap((folders, index) =>
      folders.map((folder) => ({
        files: [`src/${folder}/**`, `src/${folder}.ts`],
        rules: layerRules(index, folder),
      })),
    ),
    {
      files: ['src/**'],
      rules: {
        'max-lines': ['error' as const, { max: 300, skipBlankLines: true, skipComments: true }],
      },
    },
    { files: ['src/cli/**', 'src/main.ts', 'tools/**', 'test/**'], rules: { 'no-console': 'off' } },
    { files: ['test/**'], rules: { 'max-lines-per-function': 'off' } },
    { files: ['*.config.ts'], rules: { 'import/no-default-export': 'off' } },
  ],
});
