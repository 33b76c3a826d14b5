/** Keeps the measurements of the open study: restored, saved within a second, merged with other windows. */

import {
	fetchDraft,
	type SavedDraft,
	saveDraft,
	type WireDraft,
} from "../../dicomweb/measurements";
import { RestError } from "../../dicomweb/rest";
import { type Drawing, mergeDrawings, sameDrawing, sameDrawings } from "../../model/drawing";
import { drawingOfWire, wireOf } from "./draft-wire";
import type * as Imaging from "./imaging";

export type DraftState =
	| { readonly kind: "loading" }
	/** `at` is undefined when nothing was ever saved. */
	| { readonly kind: "saved"; readonly at: Date | undefined }
	| { readonly kind: "unsaved" }
	| { readonly kind: "failed"; readonly reason: string };

const CHANNEL = "pacsweb.drafts";
/** Milliseconds of quiet after which a change is saved, and after which it is saved anyway. */
const QUIET = 350;
const LATEST = 800;
const RETRIES = [1000, 2000, 5000, 10_000, 30_000] as const;

export interface Places {
	/** The engine's name of a frame of the open study; undefined while its series is not read. */
	imageIdOf(drawing: Drawing): string | undefined;
	redraw(): void;
	changed(state: DraftState): void;
}

export class DraftKeeper {
	private base: readonly Drawing[] = [];
	private version = 0;
	private savedAt: Date | undefined;
	/** Drawings whose images are not known yet; they are kept as they came. */
	private held: readonly Drawing[] = [];
	private loaded = false;
	private saving = false;
	private failures = 0;
	private timer: ReturnType<typeof setTimeout> | undefined;
	/** When the oldest change that is not saved was made. */
	private since: number | undefined;
	private stopped = false;
	private readonly channel = new BroadcastChannel(CHANNEL);
	private readonly stopListening: () => void;

	constructor(
		private readonly study: string,
		private readonly imaging: typeof Imaging,
		private readonly places: Places,
	) {
		this.stopListening = imaging.subscribeMeasurements(() => this.noteChange());
		this.channel.addEventListener("message", this.onMessage);
		window.addEventListener("pagehide", this.onLeave);
		window.addEventListener("beforeunload", this.onBeforeUnload);
		void this.pull();
	}

	/** Another series has been read: what was measured on it can be drawn. */
	seriesRead(): void {
		const waiting = this.held;
		this.held = [];
		this.put(waiting);
	}

	/** Tries again at once. */
	retry(): void {
		clearTimeout(this.timer);
		this.timer = undefined;
		if (this.loaded) void this.save();
		else void this.pull();
	}

	/** Leaves the study; what is not saved yet goes on its way. */
	stop(): void {
		if (this.stopped) return;
		this.onLeave();
		this.stopped = true;
		clearTimeout(this.timer);
		this.stopListening();
		this.channel.close();
		window.removeEventListener("pagehide", this.onLeave);
		window.removeEventListener("beforeunload", this.onBeforeUnload);
	}

	private current(): Drawing[] {
		const drawn = this.imaging.drawings();
		const ids = new Set(drawn.map((each) => each.id));
		return [...drawn, ...this.held.filter((each) => !ids.has(each.id))];
	}

	private get dirty(): boolean {
		return this.loaded && !sameDrawings(this.current(), this.base);
	}

	/** Draws what can be drawn; the rest is held until its series is read. */
	private put(drawings: readonly Drawing[]): void {
		const missing = drawings.filter((drawing) => {
			const imageId = this.places.imageIdOf(drawing);
			return imageId === undefined || !this.imaging.draw(drawing, imageId);
		});
		this.held = [...this.held, ...missing];
		if (missing.length < drawings.length) this.places.redraw();
	}

	/** Makes what is drawn be what these say. */
	private become(wanted: readonly Drawing[]): void {
		const ids = new Set(wanted.map((each) => each.id));
		const here = new Map(this.imaging.drawings().map((each) => [each.id, each]));
		for (const id of here.keys()) if (!ids.has(id)) this.imaging.erase(id);
		this.held = [];
		this.put(wanted.filter((each) => !sameDrawing(here.get(each.id), each)));
		this.places.redraw();
	}

	private async pull(): Promise<void> {
		try {
			const draft = await fetchDraft(this.study);
			if (!this.stopped) this.take(draft);
		} catch (error) {
			this.fail(error, () => void this.pull());
		}
	}

	/** The server's draft is newer: what was done here since the last save is laid over it. */
	private take(draft: WireDraft): void {
		const theirs = draft.measurements.map(drawingOfWire);
		const merged = mergeDrawings(this.base, this.current(), theirs);
		this.accept(draft);
		this.become(merged);
		this.noteChange();
	}

	private accept(draft: WireDraft): void {
		this.loaded = true;
		this.failures = 0;
		this.version = draft.version;
		this.base = draft.measurements.map(drawingOfWire);
		this.savedAt = draft.saved_at === null ? undefined : new Date(draft.saved_at);
	}

	private noteChange(): void {
		if (this.stopped || !this.loaded) return;
		if (!this.dirty) {
			if (!this.saving) this.places.changed({ kind: "saved", at: this.savedAt });
			return;
		}
		// A save that failed is tried again when its own time comes.
		if (this.saving || this.failures > 0) return;
		this.places.changed({ kind: "unsaved" });
		const now = performance.now();
		this.since ??= now;
		clearTimeout(this.timer);
		const wait = Math.max(0, Math.min(QUIET, this.since + LATEST - now));
		this.timer = setTimeout(() => void this.save(), wait);
	}

	private async save(): Promise<void> {
		this.timer = undefined;
		this.since = undefined;
		const sent = this.current();
		if (sameDrawings(sent, this.base)) return;
		this.saving = true;
		try {
			const answer = await saveDraft(this.study, this.version, sent.map(wireOf));
			this.saving = false;
			if (!this.stopped) this.settle(answer, sent);
		} catch (error) {
			this.saving = false;
			this.fail(error, () => void this.save());
		}
	}

	private settle(answer: SavedDraft, sent: readonly Drawing[]): void {
		if (answer.conflict) {
			this.take(answer);
			return;
		}
		this.accept(answer);
		// What the server rounded is not a change of the reader's.
		this.base = sent;
		this.channel.postMessage({ study: this.study, version: this.version });
		this.noteChange();
	}

	private fail(error: unknown, retry: () => void): void {
		if (this.stopped) return;
		const reason = error instanceof Error ? error.message : String(error);
		this.places.changed({ kind: "failed", reason });
		// The same again would be refused again; the next change is another.
		if (error instanceof RestError && [400, 401, 403, 404].includes(error.status)) return;
		const wait = RETRIES[Math.min(this.failures, RETRIES.length - 1)];
		this.failures += 1;
		clearTimeout(this.timer);
		this.timer = setTimeout(retry, wait);
	}

	private readonly onMessage = (event: MessageEvent<{ study: string; version: number }>): void => {
		const { study, version } = event.data;
		if (study === this.study && version > this.version && !this.saving) void this.pull();
	};

	private readonly onLeave = (): void => {
		if (this.stopped || !this.dirty || this.saving) return;
		clearTimeout(this.timer);
		this.timer = undefined;
		// Nobody is left to be told; the next opening shows what is stored.
		saveDraft(this.study, this.version, this.current().map(wireOf), true).catch(() => {});
	};

	private readonly onBeforeUnload = (event: BeforeUnloadEvent): void => {
		// Only what could not be saved is worth a question.
		if (this.failures > 0 && this.dirty) event.preventDefault();
	};
}
