import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

it('V8 knows the limits by the names that they are set by', () => {
  const module = new URL('../../../src/cli/inlining.ts', import.meta.url).href;
  const script = `(await import(${JSON.stringify(module)})).inlineMore()`;
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];
  // It only tells of what it does not know.
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
});
