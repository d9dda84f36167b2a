import { assertNever } from '../../lib/errors.ts';
import type { ConnId } from '../../lib/ids.ts';
import type { Identity } from '../../pool/identity.ts';
import type { Flavor } from '../../topology/snapshot.ts';
import { encodeErr } from '../../wire/packets/err.ts';
import { encodeOk } from '../../wire/packets/ok.ts';
import { encodeIntegerResultset, encodeTextResultset } from '../../wire/text-resultset.ts';
import { HEADER_BYTES } from '../../wire/writer.ts';
import { noCursor, UNKNOWN_COMMAND, unknownStatement } from '../client/client-errors.ts';
import { connectionIdTitle } from './connection-id.ts';
import type { Command } from './command.ts';
import { PLAN } from './command-planner.ts';
import type { SessionState } from '../state/session-state.ts';
import { SETTING_NOT_PREPARED } from '../statement/setting-answer.ts';
import type { StatementJudge } from '../statement/statement-judge.ts';

/** Plans whose answer the proxy has at hand. */
export type LocalPlan =
  | typeof PLAN.CONNECTION_ID
  | typeof PLAN.NOTHING_TO_RESET
  | typeof PLAN.SETTING_NOT_PREPARED
  | typeof PLAN.UNKNOWN_COMMAND
  | typeof PLAN.UNKNOWN_STATEMENT
  | typeof PLAN.NO_CURSOR;

/** What such an answer is made from. */
interface Answering {
  readonly id: ConnId;
  readonly identity: Identity;
  readonly flavor: Flavor;
  readonly command: Command;
  readonly state: SessionState;
  readonly judge: StatementJudge;
}

/** The whole answer to a command that no server has to see. */
export function localAnswer(plan: LocalPlan, session: Answering): Buffer {
  const { command, flavor } = session;
  const { replySeq } = command;
  switch (plan) {
    case PLAN.CONNECTION_ID:
      return connectionIdResult(session);
    case PLAN.NOTHING_TO_RESET:
      return encodeOk({ status: session.state.status }, replySeq, { caps: session.identity.caps });
    case PLAN.SETTING_NOT_PREPARED:
      return encodeErr(SETTING_NOT_PREPARED, replySeq);
    case PLAN.UNKNOWN_COMMAND:
      return encodeErr(UNKNOWN_COMMAND, replySeq);
    case PLAN.UNKNOWN_STATEMENT:
      return encodeErr(unknownStatement(command, flavor), replySeq);
    case PLAN.NO_CURSOR:
      return encodeErr(noCursor(command, flavor), replySeq);
    default:
      return assertNever(plan);
  }
}

const PREPARED_TEXT_AT = HEADER_BYTES + 1;

/** The answer to `SELECT CONNECTION_ID()`, its column called as the client wrote it. */
function connectionIdResult({ id, identity, command, state }: Answering): Buffer {
  const { statement } = command;
  const title =
    statement === null
      ? connectionIdTitle(command.bytes, command.textAt)
      : connectionIdTitle(statement.shape.packet, PREPARED_TEXT_AT);
  const columns = [{ integer: title ?? 'CONNECTION_ID()' }];
  const options = { seq: 1, caps: identity.caps, status: state.status };
  return statement === null
    ? encodeTextResultset({ columns, rows: [[String(id)]] }, options)
    : encodeIntegerResultset({ columns, rows: [[BigInt(id)]] }, options);
}
