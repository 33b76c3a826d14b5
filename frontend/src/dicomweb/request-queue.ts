/** Requests in order of importance, a few at a time, so that the visible image never waits. */

interface Waiting {
	priority: number;
	order: number;
	start: () => void;
	signal: AbortSignal | undefined;
}

export class RequestQueue {
	private readonly waiting: Waiting[] = [];
	private running = 0;
	private order = 0;

	constructor(private readonly limit: number) {}

	/**
	 * Runs the task when its turn comes: lower priority numbers first, then first come first served.
	 * Rejects with the signal's reason when it is aborted before its turn.
	 */
	run<T>(
		task: () => Promise<T>,
		{ priority = 0, signal }: { priority?: number; signal?: AbortSignal | undefined } = {},
	): Promise<T> {
		return new Promise<T>((resolve, reject) => {
			const start = () => {
				if (signal?.aborted) {
					reject(signal.reason);
					return;
				}
				this.running += 1;
				task()
					.then(resolve, reject)
					.finally(() => {
						this.running -= 1;
						this.next();
					});
			};
			this.waiting.push({ priority, order: this.order++, start, signal });
			this.waiting.sort((a, b) => a.priority - b.priority || a.order - b.order);
			this.next();
		});
	}

	private next(): void {
		while (this.running < this.limit) {
			const turn = this.waiting.shift();
			if (!turn) return;
			turn.start();
		}
	}
}
