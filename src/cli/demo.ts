import { Command, InvalidArgumentError, Option } from 'commander';
import { type Demo, runDemo } from '../demo/run-demo.ts';
import { Screen } from '../demo/screen.ts';
import { summaryText } from '../demo/summary-text.ts';
import { LagwiseError } from '../lib/errors.ts';
import type { Flavor } from '../topology/snapshot.ts';

interface DemoCommandOptions {
  readonly flavor: Flavor;
  readonly port?: number;
  readonly exit?: boolean;
  readonly json?: boolean;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** What shells answer for a program that was ended by Ctrl-C. */
const INTERRUPTED = 130;

/** `lagwise demo`: a real cluster with the proxy in front of it, a workload, and a failover. */
export function demoCommand(): Command {
  return new Command('demo')
    .description('a real cluster, a workload through the proxy, and a failover in the middle')
    .addOption(
      new Option('--flavor <name>', 'kind of server')
        .choices(['mysql', 'mariadb'])
        .default('mysql'),
    )
    .option('--port <port>', 'where clients connect; 6033 or a free port unless said', portNumber)
    .option('--exit', 'end after the summary; code 0 only if every promise was kept')
    .option('--json', 'print the summary as JSON; progress goes to standard error')
    .action(demo);
}

async function demo(options: DemoCommandOptions): Promise<void> {
  const interrupted = new AbortController();
  const onSignal = () => {
    // Whoever asks twice does not want to wait: what is left is cleaned up by the watchdogs.
    if (interrupted.signal.aborted) process.exit(INTERRUPTED);
    interrupted.abort(new Error('Interrupted'));
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    await runAndStay(options, interrupted.signal);
  } catch (thrown) {
    if (!interrupted.signal.aborted) return fail(thrown);
    // A lab that is still being started would keep the process alive; its watchdog ends it.
    process.exit(INTERRUPTED);
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

/** Says what went wrong; anything but an error of ours is a defect and deserves its stack. */
function fail(thrown: unknown): void {
  if (!(thrown instanceof LagwiseError)) throw thrown;
  process.stderr.write(`${thrown.message}\n`);
  process.exitCode = 1;
}

async function runAndStay(options: DemoCommandOptions, stop: AbortSignal): Promise<void> {
  const { flavor, port = null, exit = false, json = false } = options;
  const stream = json ? process.stderr : process.stdout;
  await using shown = await runDemo({ flavor, port, stop, screen: new Screen(stream) });
  const { summary } = shown;
  if (json) process.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
  else stream.write(`${summaryText(summary)}\n`);
  process.exitCode = summary.ok ? 0 : 1;
  if (exit) return;
  stream.write(`${invitation(shown)}\n`);
  await aborted(stop);
  stream.write('Ending the demo\n');
}

function invitation({ lab, proxy }: Demo): string {
  const { user, password } = lab.accounts.app;
  const client = lab.clientPath ?? 'mysql';
  return [
    '',
    'It stays up. Try it by hand:',
    `  ${client} -h 127.0.0.1 -P ${proxy.port} -u ${user} -p${password} app`,
    `  curl http://127.0.0.1:${proxy.adminPort}/api/servers`,
    `  curl http://127.0.0.1:${proxy.adminPort}/metrics`,
    `  npm run lagwise -- lab kill|start|promote|lag|status … --dir ${lab.dir}`,
    'Ctrl-C ends everything.',
  ].join('\n');
}

/** Resolves with the abort. A pending promise alone does not keep a process alive, so it does that. */
function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const alive = setInterval(() => undefined, 60_000);
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise.finally(() => clearInterval(alive));
}

function portNumber(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError('a port, or 0 for any free one');
}
