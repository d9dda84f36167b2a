import { messageOf } from '../../src/lib/errors.ts';
import { startDirect } from './peers/direct.ts';
import { startHaproxy } from './peers/haproxy.ts';
import { startLagwise, startLagwiseBefore } from './peers/lagwise.ts';
import { startMysqlRouter } from './peers/mysql-router.ts';
import type { Missing } from './result.ts';
import type { Target, TargetContext, TargetName } from './target.ts';

const STARTERS: Readonly<Record<TargetName, (context: TargetContext) => Promise<Target>>> = {
  direct: startDirect,
  haproxy: startHaproxy,
  'mysql-router': startMysqlRouter,
  lagwise: startLagwise,
  'lagwise-before': startLagwiseBefore,
};

/** Starts the targets; one that cannot start is told of, and the others go on without it. */
export async function startTargets(
  names: readonly TargetName[],
  context: TargetContext,
): Promise<{ targets: Target[]; missing: Missing[] }> {
  const targets: Target[] = [];
  const missing: Missing[] = [];
  for (const name of names) {
    try {
      const target = await STARTERS[name](context);
      targets.push(target);
      context.onProgress(`${name} ${target.version} is up`);
    } catch (error) {
      missing.push({ target: name, reason: messageOf(error) });
      context.onProgress(`${name} does not take part: ${messageOf(error)}`);
    }
  }
  return { targets, missing };
}
