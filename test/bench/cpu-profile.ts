import { fileURLToPath } from 'node:url';

/** The part of a `.cpuprofile` (Chrome DevTools protocol, `Profiler.Profile`) that is read here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      /** From 0. */
      readonly lineNumber: number;
    };
  }[];
  /** Microseconds of the system's monotonic clock (`process.hrtime`). */
  readonly startTime: number;
  /** The node that each sample was taken in. */
  readonly samples?: readonly number[];
  /** Microseconds from each sample to the one before it, of the first to `startTime`. */
  readonly timeDeltas?: readonly number[];
}

/** A function and the time that was spent in it, its callees left out. */
export interface SelfTime {
  /** `(program)` is native code outside of any function, system calls among it. */
  readonly name: string;
  /** `file:line`, shortened; empty for what is not in a file. */
  readonly place: string;
  readonly us: number;
}

/** What a profile comes to. */
export interface ProfileSummary {
  /** Longest first. */
  readonly functions: readonly SelfTime[];
  /** Microseconds by folder, most first. */
  readonly folders: readonly (readonly [folder: string, us: number])[];
  /** Time in which the main thread did something, garbage collection included. */
  readonly busyUs: number;
  readonly idleUs: number;
}

const IDLE = '(idle)';

/** A span of the monotonic clock, microseconds. */
export interface Span {
  readonly fromUs: number;
  readonly toUs: number;
}

/** Adds up by function what was sampled within `span`; paths are shown relative to `root`. */
export function summarizeProfile(profile: CpuProfile, span: Span, root: string): ProfileSummary {
  const usByNode = sumByNode(profile, span);
  const byFunction = new Map<string, SelfTime>();
  for (const { id, callFrame } of profile.nodes) {
    const us = usByNode.get(id) ?? 0;
    if (us <= 0) continue;
    const name = callFrame.functionName || '(anonymous)';
    const place = shorten(callFrame.url, callFrame.lineNumber + 1, root);
    const key = `${name} ${place}`;
    byFunction.set(key, { name, place, us: us + (byFunction.get(key)?.us ?? 0) });
  }
  const all = [...byFunction.values()].sort((a, b) => b.us - a.us);
  const functions = all.filter(({ name }) => name !== IDLE);
  return {
    functions,
    folders: sumByFolder(functions),
    busyUs: functions.reduce((sum, { us }) => sum + us, 0),
    idleUs: all.find(({ name }) => name === IDLE)?.us ?? 0,
  };
}

function sumByNode({ startTime, samples, timeDeltas }: CpuProfile, span: Span) {
  const usByNode = new Map<number, number>();
  let atUs = startTime;
  samples?.forEach((id, index) => {
    const deltaUs = timeDeltas?.[index] ?? 0;
    atUs += deltaUs;
    if (atUs < span.fromUs || atUs > span.toUs) return;
    usByNode.set(id, (usByNode.get(id) ?? 0) + deltaUs);
  });
  return usByNode;
}

/** `src/session`, `node:internal`, `node_modules/mysql2`, or `native` for what is in no file. */
function sumByFolder(functions: readonly SelfTime[]): readonly (readonly [string, number])[] {
  const us = new Map<string, number>();
  for (const { name, place, us: own } of functions) {
    const folder = place === '' ? nativeName(name) : folderOf(place);
    us.set(folder, (us.get(folder) ?? 0) + own);
  }
  return [...us].sort(([, a], [, b]) => b - a);
}

function folderOf(place: string): string {
  return place.replace(/:\d+$/, '').split('/').slice(0, 2).join('/');
}

function nativeName(name: string): string {
  return name.startsWith('(') ? name : 'native';
}

/** Tells a profile from other JSON. */
export function isCpuProfile(value: unknown): value is CpuProfile {
  if (typeof value !== 'object' || value === null) return false;
  return 'nodes' in value && Array.isArray(value.nodes) && 'startTime' in value;
}

function shorten(url: string, line: number, root: string): string {
  if (url === '') return '';
  const path = url.startsWith('file:') ? fileURLToPath(url) : url;
  const own = path.startsWith(root) ? path.slice(root.length) : path;
  return `${own}:${line}`;
}
