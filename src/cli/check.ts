import { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { LagwiseError } from '../lib/errors.ts';

/** `lagwise check`: finds every problem of a config file without starting anything. */
export function checkCommand(): Command {
  return new Command('check')
    .description('check a config file and print what would be used, defaults included')
    .option('-c, --config <path>', 'config file', 'proxy.config.json')
    .action(({ config }: { config: string }) => {
      const result = checkReport(config, process.env);
      if (result.ok) process.stdout.write(result.text);
      else process.stderr.write(result.text);
      process.exitCode = result.ok ? 0 : 1;
    });
}

/** What the command prints, and whether the file is good. Secrets are hidden. */
export function checkReport(
  path: string,
  env: Readonly<Record<string, string | undefined>>,
): { readonly ok: boolean; readonly text: string } {
  try {
    return { ok: true, text: `${JSON.stringify(loadConfig(path, env), null, 2)}\n` };
  } catch (thrown) {
    // Anything else is a defect and deserves its stack.
    if (!(thrown instanceof LagwiseError) || thrown.source !== 'config') throw thrown;
    return { ok: false, text: `${thrown.message}\n` };
  }
}
