import { Command } from 'commander';
import { startApp } from '../app.ts';
import { loadConfig } from '../config/load.ts';

/** `lagwise start`: runs the proxy until SIGTERM or SIGINT; a second signal ends it at once. */
export function startCommand(): Command {
  return new Command('start')
    .description('run the proxy')
    .option('-c, --config <path>', 'config file', 'proxy.config.json')
    .action(({ config }: { config: string }) => run(config));
}

async function run(path: string): Promise<void> {
  const app = await startApp(loadConfig(path, process.env));
  const stop = () => {
    for (const signal of SIGNALS)
      process.removeListener(signal, stop).once(signal, () => process.exit(1));
    app.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`Stopping failed: ${String(error)}\n`);
        process.exit(1);
      },
    );
  };
  for (const signal of SIGNALS) process.once(signal, stop);
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
