import { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { inlineMore } from './inlining.ts';
import { signalled } from './signals.ts';
import { boundYoungGeneration } from './young-generation.ts';

/** `lagwise start`: runs the proxy until SIGTERM or SIGINT; a second signal ends it at once. */
export function startCommand(): Command {
  return new Command('start')
    .description('run the proxy')
    .option('-c, --config <path>', 'config file', 'proxy.config.json')
    .action(({ config }: { config: string }) => run(config));
}

async function run(path: string): Promise<void> {
  inlineMore();
  boundYoungGeneration();
  // Before the start, which may take seconds: a signal then ends what it began, in order.
  const ended = signalled(SIGNALS);
  // Only here: the other commands need none of it, and it is half of their memory and start.
  const { startApp } = await import('../app.ts');
  const app = await startApp(loadConfig(path, process.env));
  await ended;
  for (const signal of SIGNALS) process.once(signal, () => process.exit(1));
  await app.stop();
  process.exit(0);
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
