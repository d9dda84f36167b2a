import { it } from 'vitest';

/** Stands for a suite that cannot run here: one test that is skipped, with the reason. */
export function notRun(why: string): void {
  it('cannot run here', ({ skip }) => skip(why));
}
