import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { Command, InvalidArgumentError, Option } from 'commander';
import { loadConfig, parseConfig } from '../config/load.ts';
import { addressOf, type Config } from '../config/schema.ts';
import { LagwiseError } from '../lib/errors.ts';
import type { Flavor } from '../topology/snapshot.ts';
import { type AdminAnswer, askAdmin } from './admin-client.ts';
import { version } from './classify.ts';
import { explainStatement } from './explain-statement.ts';
import { explanationText } from './explain-text.ts';
import { DEFAULT_VERSIONS, StatementReader } from './statement-input.ts';

interface ExplainOptions {
  readonly config?: string;
  readonly admin?: string;
  readonly json?: boolean;
  readonly flavor?: Flavor;
  readonly serverVersion?: string;
  readonly user: string;
  readonly schema?: string;
  readonly clientAddr: string;
  readonly sqlMode?: string;
  readonly charset?: string;
  readonly autocommit: boolean;
  readonly inTransaction?: boolean;
  readonly readOnlyTransaction?: boolean;
}

const DEFAULT_CONFIG = 'proxy.config.json';
const DEFAULT_ADMIN = 'http://127.0.0.1:6080';

/** `lagwise explain`: where one statement goes and why, for people. Runs nothing. */
export function explainCommand(): Command {
  return new Command('explain')
    .description('say where a statement goes, why, and which servers may take it now')
    .argument('<sql>', 'the statement')
    .option('-c, --config <path>', `config file with the rules (${DEFAULT_CONFIG} if there is one)`)
    .option(
      '--admin <address>',
      `admin address of a running proxy (by the config file: ${DEFAULT_ADMIN})`,
    )
    .option('--json', 'print JSON')
    .addOption(
      new Option('--flavor <name>', 'kind of server; by default that of the running proxy').choices(
        ['mysql', 'mariadb'],
      ),
    )
    .option('--server-version <version>', 'its version, such as 9.7.4 or 10.11.19', version)
    .option('--user <name>', 'account that sends it, for the rules', '')
    .option('--schema <name>', 'current schema, for the rules')
    .option('--client-addr <address>', "the client's IP address, for the rules", ip, '127.0.0.1')
    .option('--sql-mode <modes>', 'sql_mode of the session')
    .option('--charset <name>', 'character_set_client of the session')
    .option('--no-autocommit', 'the session has autocommit=0')
    .option('--in-transaction', 'a transaction is open')
    .option('--read-only-transaction', 'a read-only transaction is open')
    .action(run);
}

function ip(text: string): string {
  if (isIP(text) > 0) return text;
  throw new InvalidArgumentError('Expected an IP address such as 127.0.0.1');
}

async function run(sql: string, options: ExplainOptions): Promise<void> {
  const { config, note } = configFor(options.config);
  const base = adminBase(options.admin, config);
  const answer = await askAdmin(base);
  const server = serverFor(options, answer);
  const routines = answer.t === 'ok' ? answer.routines : null;
  const input = new StatementReader({ ...server, routines }).read({
    sql,
    autocommit: options.autocommit,
    inTransaction: options.inTransaction,
    readOnlyTransaction: options.readOnlyTransaction,
    sqlMode: options.sqlMode,
    charset: options.charset,
  });
  if (typeof input === 'string') throw new LagwiseError('config', input);
  const { user, clientAddr, schema = null } = options;
  const explained = explainStatement(
    input,
    { user, clientAddr, schema },
    config ?? DEFAULTS,
    answer,
  );
  if (options.json === true) {
    const admin = answer.t === 'ok' ? { address: base } : { address: base, failed: answer.why };
    process.stdout.write(`${JSON.stringify({ ...explained, server, admin }, null, 2)}\n`);
  } else process.stdout.write(explanationText(explained, { base, answer }));
  if (note !== null) process.stderr.write(`${note}\n`);
}

/** What is assumed of a proxy whose config file is not at hand. */
const DEFAULTS: Config = parseConfig(
  { servers: [{ host: 'unknown' }], monitor: { user: 'unknown', password: '' } },
  { env: {} },
);

/**
 * The named config file, or the one that lies here. One that nobody named and that cannot be used
 * (its secrets are elsewhere, say) is no reason to explain nothing.
 */
function configFor(path: string | undefined): {
  readonly config: Config | null;
  readonly note: string | null;
} {
  if (path !== undefined) return { config: loadConfig(path, process.env), note: null };
  if (!existsSync(DEFAULT_CONFIG)) return { config: null, note: null };
  try {
    return { config: loadConfig(DEFAULT_CONFIG, process.env), note: null };
  } catch (thrown) {
    if (!(thrown instanceof LagwiseError)) throw thrown;
    return { config: null, note: `Without rules and defaults of yours: ${thrown.message}` };
  }
}

function adminBase(given: string | undefined, config: Config | null): string {
  const own =
    config === null || !config.admin.enabled || config.admin.port === 0
      ? DEFAULT_ADMIN
      : `http://${addressOf(config.admin)}`;
  const base = given ?? own;
  if (!URL.canParse(base) || !/^https?:/i.test(base)) {
    throw new LagwiseError(
      'config',
      `Admin address "${base}" is none, expected one like ${DEFAULT_ADMIN}`,
    );
  }
  return base;
}

function serverFor(options: ExplainOptions, answer: AdminAnswer) {
  const primary =
    answer.t === 'ok' ? (answer.snapshot.primary ?? answer.snapshot.servers[0]) : undefined;
  const flavor = options.flavor ?? primary?.flavor ?? 'mysql';
  const known = primary?.flavor === flavor ? primary.version : null;
  return { flavor, version: options.serverVersion ?? known ?? DEFAULT_VERSIONS[flavor] };
}
