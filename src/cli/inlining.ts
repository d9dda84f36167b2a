import { setFlagsFromString } from 'node:v8';

/** Of bytecode, in one function's optimized code: V8's own limit is 920. */
const ALL_INLINED_BYTES = 3000;
/** Of one callee: V8's own limit is 460. */
const ONE_INLINED_BYTES = 1500;

/**
 * Lets V8 inline more: a statement passes through many small functions, and its limits leave a part
 * of them as calls. Against those limits point selects cost 3 % less of the processor with 32
 * clients and 7 % less with 128 (`npm run bench`, in pairs of rounds); more than this brings nothing.
 * To be called before anything is hot.
 */
export function inlineMore(): void {
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${ALL_INLINED_BYTES}`);
  setFlagsFromString(`--max-inlined-bytecode-size=${ONE_INLINED_BYTES}`);
}
