import { once } from 'node:events';
import { Command, Option } from 'commander';
import { messageOf } from '../lib/errors.ts';
import { versionNumber } from '../pool/backend-caps.ts';
import type { Flavor } from '../topology/snapshot.ts';
import { InvalidArgumentError } from 'commander';
import { type ClassifySummary, classifyLines } from './classify-lines.ts';
import { DEFAULT_VERSIONS } from './statement-input.ts';

interface ClassifyOptions {
  readonly flavor: Flavor;
  readonly serverVersion?: string;
}

/** `lagwise classify`: JSON Lines in, JSON Lines out; where statements would go, without a server. */
export function classifyCommand(): Command {
  return new Command('classify')
    .description('say where statements would go: JSON lines on standard input, JSON lines out')
    .addOption(
      new Option('--flavor <name>', 'kind of server where a line does not say')
        .choices(['mysql', 'mariadb'])
        .default('mysql'),
    )
    .option('--server-version <version>', 'its version, such as 9.7.4 or 10.11.19', version)
    .addHelpText('after', HELP)
    .action(run);
}

/** The version of a server on a command line. */
export function version(text: string): string {
  if (versionNumber(text) > 0) return text;
  throw new InvalidArgumentError('Expected a version such as 9.7.4');
}

const HELP = `
A line is a statement as a JSON string, or an object:
  {"sql": "SELECT 1", "autocommit": true, "inTransaction": false, "readOnlyTransaction": false,
   "serializable": false, "flavor": "mysql", "version": "9.7.4", "sqlMode": "ANSI_QUOTES",
   "charset": "utf8mb4"}
where only "sql" is needed. With a charset other than UTF-8 each character of "sql" stands for one
byte, U+0000 to U+00FF. For each line one comes out:
  {"class": "read", "target": "replica", "reason": "select", "digest": "0123456789abcdef"}
with a target of primary, replica, same (the server that the session is on), local (the proxy
answers) or any. A line that is no statement gives {"error": "…", "line": 3}, the rest is read all
the same, and the exit code is 1. Empty lines are left out.
`;

async function run({ flavor, serverVersion }: ClassifyOptions): Promise<void> {
  const { stdin, stdout, stderr } = process;
  const server = { flavor, version: serverVersion ?? DEFAULT_VERSIONS[flavor] };
  let closed = false;
  // Whoever reads may have seen enough (`| head`): no failure of ours.
  stdout.on('error', (error) => {
    closed = true;
    if (!('code' in error) || error.code !== 'EPIPE') stderr.write(`${messageOf(error)}\n`);
    stdin.destroy();
  });
  const write = async (text: string): Promise<void> => {
    if (!closed && !stdout.write(text)) await once(stdout, 'drain');
  };
  let summary: ClassifySummary;
  try {
    summary = await classifyLines(stdin, write, server);
  } catch (thrown) {
    if (closed) return;
    throw thrown;
  }
  if (summary.errors === 0) return;
  stderr.write(`${summary.errors} of ${summary.lines} lines are no statements\n`);
  process.exitCode = 1;
}
