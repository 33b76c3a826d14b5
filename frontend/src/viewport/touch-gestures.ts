/** Two fingers zoom and pan, three scroll; one finger is the chosen tool's. */

export interface Point {
	readonly x: number;
	readonly y: number;
}

export interface Gestures {
	/** More than one finger is down: what one finger has begun is given up. */
	begin(): void;
	pan(dx: number, dy: number): void;
	zoom(factor: number, around: Point): void;
	/** Images to go on, or back. */
	scroll(steps: number): void;
}

/** Pixels that three fingers move for one image. */
const PIXELS_AN_IMAGE = 12;

export function middle(points: readonly Point[]): Point {
	const count = Math.max(1, points.length);
	const sum = points.reduce((a, b) => ({ x: a.x + b.x, y: a.y + b.y }), { x: 0, y: 0 });
	return { x: sum.x / count, y: sum.y / count };
}

/** Mean distance of the fingers from their middle. */
export function spread(points: readonly Point[]): number {
	const center = middle(points);
	const distances = points.map(({ x, y }) => Math.hypot(x - center.x, y - center.y));
	return distances.reduce((a, b) => a + b, 0) / Math.max(1, points.length);
}

export class TouchGestures {
	private last: readonly Point[] = [];
	private scrolled = 0;
	/** From the second finger on until the last one is lifted. */
	private several = false;

	constructor(private readonly act: Gestures) {}

	/** True when the touch is ours and nobody else's. */
	start(points: readonly Point[]): boolean {
		if (points.length > 1 && !this.several) {
			this.several = true;
			this.act.begin();
		}
		this.last = points;
		this.scrolled = 0;
		return this.several;
	}

	move(points: readonly Point[]): boolean {
		if (!this.several) return false;
		const { last } = this;
		this.last = points;
		// A finger came or went: the next move is measured from here.
		if (points.length !== last.length) return true;
		const [before, now] = [middle(last), middle(points)];
		if (points.length === 2) {
			this.act.pan(now.x - before.x, now.y - before.y);
			const [wasSpread, isSpread] = [spread(last), spread(points)];
			if (wasSpread > 4 && isSpread > 4) this.act.zoom(isSpread / wasSpread, now);
		} else if (points.length >= 3) {
			this.scrolled += now.y - before.y;
			const steps = Math.trunc(this.scrolled / PIXELS_AN_IMAGE);
			this.scrolled -= steps * PIXELS_AN_IMAGE;
			if (steps !== 0) this.act.scroll(steps);
		}
		return true;
	}

	/** The points that are still down; the very last touch is passed on, so that others end too. */
	end(points: readonly Point[]): boolean {
		this.last = points;
		if (points.length > 0) return this.several;
		this.several = false;
		return false;
	}
}

/** Connects to an element before the engine hears of a touch; returns how to disconnect. */
export function listenForGestures(element: HTMLElement, act: Gestures): () => void {
	const gestures = new TouchGestures(act);
	const pointsOf = (event: TouchEvent): Point[] => {
		const box = element.getBoundingClientRect();
		return Array.from(event.touches, (touch) => ({
			x: touch.clientX - box.left,
			y: touch.clientY - box.top,
		}));
	};
	const handler =
		(take: (points: readonly Point[]) => boolean) =>
		(event: TouchEvent): void => {
			if (!take(pointsOf(event))) return;
			event.preventDefault();
			event.stopImmediatePropagation();
		};
	const options = { capture: true, passive: false } as const;
	const listeners = {
		touchstart: handler((points) => gestures.start(points)),
		touchmove: handler((points) => gestures.move(points)),
		touchend: handler((points) => gestures.end(points)),
		touchcancel: handler((points) => gestures.end(points)),
	};
	const entries = Object.entries(listeners) as [keyof typeof listeners, (e: TouchEvent) => void][];
	for (const [name, listener] of entries) element.addEventListener(name, listener, options);
	return () => {
		for (const [name, listener] of entries) element.removeEventListener(name, listener, options);
	};
}
