import { EMPTY_LAYER, type PolicyLayer } from '../../routing/policy.ts';
import { type LayerDraft, setPolicyWord } from '../../routing/policy-words.ts';
import { parseHint } from '../../sql/hint.ts';

/** What a comment says, and what of it was not understood. */
export interface HintReading {
  readonly layer: PolicyLayer;
  /** For people. */
  readonly problems: readonly string[];
}

/** Programs write few different comments; tags may make them many. The oldest goes first. */
const MAX_HINTS = 1024;
/** Longer ones are read each time: the bound of the cache would be no bound of its bytes. */
const MAX_CACHED_BYTES = 256;

/** Reads the comments in front of statements, each different one once. */
export class HintCache {
  readonly #readings = new Map<string, HintReading>();

  /** What the comment in `buf[start, end)` says (without `lagwise:`). Never throws. */
  read(buf: Buffer, start: number, end: number): HintReading {
    if (end - start > MAX_CACHED_BYTES) return readHint(buf, start, end);
    const key = buf.toString('latin1', start, end);
    let reading = this.#readings.get(key);
    if (reading === undefined) {
      reading = readHint(buf, start, end);
      this.#remember(key, reading);
    }
    return reading;
  }

  #remember(key: string, reading: HintReading): void {
    if (this.#readings.size >= MAX_HINTS) {
      for (const oldest of this.#readings.keys()) {
        this.#readings.delete(oldest);
        break;
      }
    }
    this.#readings.set(key, reading);
  }
}

/** Reads one comment; what it says beyond what a statement may have is a problem, and left out. */
export function readHint(buf: Buffer, start: number, end: number): HintReading {
  const hint = parseHint(buf, start, end);
  const draft: LayerDraft = { ...EMPTY_LAYER };
  const problems = [...hint.problems];
  const words: readonly (readonly [name: string, value: string | null])[] = [
    ['target', hint.target],
    ['consistency', hint.consistency],
    ['max_lag_ms', hint.maxLagMs === null ? null : String(hint.maxLagMs)],
    ['replica_tags', hint.replicaTags],
    ['tag', hint.tag],
  ];
  for (const [name, value] of words) {
    const problem = value === null ? null : setPolicyWord(draft, name, value);
    if (problem !== null) problems.push(problem);
  }
  return { layer: Object.freeze(draft), problems };
}
