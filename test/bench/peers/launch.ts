import type { Command } from '../../../src/lab/run.ts';
import { startChild, waitUntil } from '../child.ts';
import { greets, type Target, type TargetName } from '../target.ts';

/** A proxy that is to be started, all but its command. */
export interface ProxyPlan {
  readonly name: TargetName;
  readonly version: string;
  readonly readPort: number;
  readonly writePort: number;
  readonly logPath: string;
  /** Asked for beside a greeting on both ports. */
  readonly isReady?: () => Promise<boolean>;
  /** How long it may take to end after SIGTERM. */
  readonly stopGraceMs?: number;
}

const STOP_GRACE_MS = 5_000;

/** Starts a proxy and returns when servers greet through it; throws with its log when they do not. */
export async function launchProxy(command: Command, plan: ProxyPlan): Promise<Target> {
  const { name, version, readPort, writePort, stopGraceMs = STOP_GRACE_MS } = plan;
  const child = await startChild(command, plan.logPath);
  const stop = () => child.stop(stopGraceMs);
  const isReady = async () =>
    ((await plan.isReady?.()) ?? true) && (await greets(readPort)) && (await greets(writePort));
  await waitUntil(isReady, child, name).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    name,
    version,
    readPort,
    writePort,
    stop,
    pid: child.pid,
    ended: () => child.ended(),
    logTail: () => child.logTail(),
  };
}
