/** What a job has read from an error queue, taken as fast as somebody wants it. */
import { type Job, type OnNews, startJob } from "./job.ts";
import { library } from "./library.ts";
import { noticeStruct, watchStruct } from "./structs.ts";

export type RawNotice = ReturnType<typeof noticeStruct.readAt>;

const batch = 128;

/** Notices of one job. C keeps 4096 that nobody has taken, and then waits: memory has a bound. */
export class NoticeReader {
  readonly #bytes = noticeStruct.allocate(batch);
  /** What was left when the job ended. */
  readonly #last: RawNotice[] = [];
  #handle = 0;
  #hasEnded = false;
  #news = Promise.withResolvers<void>();

  /** For the job whose notices these are. */
  readonly onNews: OnNews = (handle, hasEnded) => {
    this.#handle = handle;
    if (hasEnded) {
      // The job is freed now: what is left is taken at once.
      for (let taken = this.#take(); taken.length > 0; taken = this.#take())
        this.#last.push(...taken);
      this.end();
    }
    this.#news.resolve();
  };

  /** There will be no job, or no more of it. */
  end(): void {
    this.#hasEnded = true;
    this.#news.resolve();
  }

  /** To the end of the job; waits where there is nothing yet. */
  async *[Symbol.asyncIterator](): AsyncGenerator<RawNotice, void> {
    for (;;) {
      const news = this.#news;
      const taken = this.#hasEnded ? this.#last.splice(0) : this.#take();
      yield* taken;
      if (taken.length > 0) continue;
      if (this.#hasEnded) return;
      await news.promise;
      this.#news = Promise.withResolvers<void>();
    }
  }

  #take(): RawNotice[] {
    if (this.#handle === 0) return [];
    const count = library().zc_notices_take(this.#handle, this.#bytes, batch);
    return count > 0 ? noticeStruct.unpackAll(this.#bytes, count) : [];
  }
}

/** Takes the error queue of `fd`: until it is empty, or with `follow` until it is cancelled. */
export function startWatch(fd: number, follow: boolean, reader: NoticeReader): Job | number {
  const options = { fd, follow: follow ? 1 : 0 };
  return startJob(library().zc_watch_start, watchStruct, options, reader.onNews);
}
