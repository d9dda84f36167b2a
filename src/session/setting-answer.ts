import type { ClassifyContext } from '../sql/classification.ts';
import { parseLagwiseSelect, parseLagwiseSetting } from '../sql/lagwise-setting.ts';
import { encodeErr, type ErrPacket } from '../wire/packets/err.ts';
import { encodeOk } from '../wire/packets/ok.ts';
import { encodeTextResultset } from '../wire/text-resultset.ts';
import type { StatementPolicy } from './statement-policy.ts';

/** ER_WRONG_VALUE_FOR_VAR: what a server says to a SET that it does not take. */
const WRONG_VALUE = { code: 1231, sqlState: '42000' } as const;

/**
 * What PREPARE of a statement about `@lagwise_…` is answered with: ER_UNSUPPORTED_PS, on which
 * drivers that prepare everything send the text as it is.
 */
export const SETTING_NOT_PREPARED: ErrPacket = {
  code: 1295,
  sqlState: 'HY000',
  message: 'lagwise: Settings of @lagwise_ variables cannot be prepared: send them as text',
};

/**
 * The whole answer to a COM_QUERY of class `local` and reason `lagwise-setting`: OK or an error for
 * SET, which takes effect here, and a result for SELECT.
 */
export function settingAnswer(question: {
  readonly policy: StatementPolicy;
  /** Header included. */
  readonly packet: Buffer;
  /** Where its text begins. */
  readonly textAt: number;
  readonly context: ClassifyContext;
  /** Capabilities in force with the client. */
  readonly caps: number;
  /** Status flags for the answer. */
  readonly status: number;
}): Buffer {
  const { policy, packet, textAt, context, caps, status } = question;
  const columns = parseLagwiseSelect(packet, textAt, packet.length, context);
  if (columns !== null) {
    const row = columns.map(({ name }) => policy.get(name));
    const result = { columns: columns.map(({ title }) => title), rows: [row] };
    return encodeTextResultset(result, { seq: 1, caps, status });
  }
  const settings = parseLagwiseSetting(packet, textAt, packet.length, context);
  const problem = settings === null ? NOT_PLAIN : policy.set(settings);
  if (problem === null) return encodeOk({ status }, 1, { caps });
  return encodeErr({ ...WRONG_VALUE, message: `lagwise: ${problem}` }, 1);
}

const NOT_PLAIN = 'Cannot set @lagwise_ variables to anything but plain words, strings and numbers';
