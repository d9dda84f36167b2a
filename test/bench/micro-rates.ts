import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const CLASSIFY = fileURLToPath(new URL('micro/classify.ts', import.meta.url));
const TIMEOUT_MS = 120_000;

/** How many statements a second one core classifies, as lines of text; in a process of its own. */
export async function classifierRates(signal: AbortSignal): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [CLASSIFY], {
    signal,
    timeout: TIMEOUT_MS,
  });
  return `Classifier, one core:\n${stdout}`;
}
