import { CONSISTENCIES } from '../config/rule-schema.ts';
import type { PolicyLayer, PolicyTarget } from './policy.ts';

/** What clients may say by `@lagwise_…` variables and `lagwise.…` query attributes. */
export const POLICY_WORDS = ['target', 'consistency', 'max_lag_ms', 'replica_tags', 'tag'] as const;

/** A layer that is being put together. */
export type LayerDraft = { -readonly [Field in keyof PolicyLayer]: PolicyLayer[Field] };

/** As `routing.maxLagMs`. */
const MAX_LAG_MS = 2_147_483_647;
const MAX_TAG_LENGTH = 64;
const MAX_SHOWN = 40;
/** As of `servers[].tags`. */
const MAX_REPLICA_TAGS = 32;
const REPLICA_TAG = /^[\w.:-]{1,64}$/;

const TARGETS: readonly PolicyTarget[] = ['primary', 'replica'];

/**
 * Takes one word into a layer; upper and lower case are the same, null takes the word back.
 * @returns what is wrong with it, for people, or null; what is wrong changes nothing
 */
export function setPolicyWord(
  draft: LayerDraft,
  name: string,
  value: string | null,
): string | null {
  const word = POLICY_WORDS.find((each) => each === name.toLowerCase());
  if (word === undefined)
    return `there is no "${shown(name)}", expected ${POLICY_WORDS.join(', ')}`;
  switch (word) {
    case 'target':
      return setWord(value, TARGETS, (target) => {
        draft.target = target;
      });
    case 'consistency':
      return setWord(value, CONSISTENCIES, (consistency) => {
        draft.consistency = consistency;
      });
    case 'max_lag_ms':
      return setMaxLag(draft, value);
    case 'replica_tags':
      return setReplicaTags(draft, value);
    case 'tag':
      if (value !== null && (value === '' || value.length > MAX_TAG_LENGTH)) {
        return `tag has ${value.length} characters, expected 1 to ${MAX_TAG_LENGTH}`;
      }
      draft.tag = value;
      return null;
  }
}

function setMaxLag(draft: LayerDraft, value: string | null): string | null {
  if (value !== null && (!/^\d{1,10}$/.test(value) || Number(value) > MAX_LAG_MS)) {
    return `max_lag_ms is "${shown(value)}", expected milliseconds, an integer from 0 to ${MAX_LAG_MS}`;
  }
  draft.maxLagMs = value === null ? null : Number(value);
  return null;
}

/** Between tags stands `+`, or a comma where that ends nothing else. Nothing: any replica will do. */
function setReplicaTags(draft: LayerDraft, value: string | null): string | null {
  const tags = value === null || value === '' ? [] : value.split(/[+,]/).map((tag) => tag.trim());
  const isRight = tags.length <= MAX_REPLICA_TAGS && tags.every((tag) => REPLICA_TAG.test(tag));
  if (!isRight) {
    return `replica_tags is "${shown(value ?? '')}", expected up to ${MAX_REPLICA_TAGS} tags of servers with "+" between them`;
  }
  draft.replicaTags = value === null ? null : Object.freeze(tags);
  return null;
}

function setWord<Word extends string>(
  value: string | null,
  words: readonly Word[],
  set: (word: Word | null) => void,
): string | null {
  const found = value === null ? null : words.find((word) => word === value.toLowerCase());
  if (found === undefined) return `found "${shown(value ?? '')}", expected ${words.join(' or ')}`;
  set(found);
  return null;
}

const shown = (text: string): string =>
  text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
