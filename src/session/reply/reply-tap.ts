import type { BackendConnection } from '../../pool/backend-connection.ts';
import type { Command } from '../command/command.ts';

/** Listens to a reply on its way to the client. */
export interface ReplyTap {
  /** These bytes went to the client; they are only there during the call. */
  take(bytes: Buffer): void;
  /** The reply has ended. Not whole: it was an error, or the client never saw it. */
  end(isWhole: boolean): void;
}

/** Draws reads whose replies are to be listened to. */
export interface ReadSampler {
  /**
   * A command has just been sent to a replica: what is to listen to its reply where it is sampled,
   * else null. The hot path.
   */
  sample(command: Command, connection: BackendConnection): ReplyTap | null;
  /** Gives up what is being looked at. */
  stop(): void;
}
