// What Hookyard gives to a Workflow, and how a Workflow parks by hand.
import { ActivityFailure, ApplicationFailure, condition, defineSignal, isCancellation, setHandler, upsertMemo, upsertSearchAttributes } from '@temporalio/workflow';
import { defineSearchAttributeKey, rootCause } from '@temporalio/common';

/** The first argument of every Workflow. Fields are added to it and never renamed. */
export interface Event {
  source: string;
  provider: string;
  /** The same in every redelivery. */
  id: string;
  type?: string;
  /** RFC 3339. */
  received_at: string;
  headers?: Record<string, string[]>;
}

const state = defineSearchAttributeKey('HookState', 'KEYWORD');
const reason = defineSearchAttributeKey('HookParkReason', 'KEYWORD');

/** What `hookyard resume` and `hookyard discard` send. */
interface Decision {
  by?: string;
  why?: string;
}

export const resume = defineSignal<[Decision?]>('resume');
export const discard = defineSignal<[Decision?]>('discard');

/**
 * Makes attempts until one succeeds. When an Activity fails for good, the run
 * parks: it is in `hookyard parked` and waits for `hookyard resume`, which tries
 * again, or `hookyard discard`, which fails the run.
 */
export async function parkable<T>(name: string, attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    const started = new Date();
    try {
      return await attempt();
    } catch (err) {
      if (!(err instanceof ActivityFailure) || isCancellation(err)) throw err;
      const permanent = err.cause instanceof ApplicationFailure && err.cause.nonRetryable;
      await parked({ name, reason: permanent ? 'permanent' : 'exhausted', error: rootCause(err) ?? err.message, since: new Date(), started });
    }
  }
}

interface Step {
  name: string;
  reason: string;
  error: string;
  since: Date;
  started: Date;
}

/** Returns once somebody has the step tried again. */
async function parked(step: Step): Promise<void> {
  let decided: 'resume' | 'discard' | undefined;
  let why: string | undefined;
  setHandler(resume, () => void (decided ??= 'resume'));
  setHandler(discard, (decision) => {
    decided ??= 'discard';
    why = decision?.why;
  });
  upsertMemo({ HookParked: { steps: [step] } });
  upsertSearchAttributes([{ key: state, value: 'parked' }, { key: reason, value: step.reason }]);
  await condition(() => decided !== undefined);
  upsertMemo({ HookParked: null });
  upsertSearchAttributes([{ key: state, value: null }, { key: reason, value: null }]);
  if (decided === 'discard') throw ApplicationFailure.nonRetryable(why ?? 'discarded', 'Discarded');
}
