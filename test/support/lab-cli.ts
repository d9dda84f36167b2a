// Runs `lagwise lab …` alone, as a process that tests can signal: `node lab-cli.ts up --json`.
import { labCommand } from '../../src/cli/lab.ts';

await labCommand().parseAsync();
