/** The open study: what is loaded, where it is shown, and everything a reader can do with it. */

import { RequestError, searchSeries, searchStudies, seriesMetadata } from "../../dicomweb/client";
import { type DisplaySet, displaySetsOf } from "../../model/display-sets";
import { slicePosition } from "../../model/geometry";
import { priorsOf, seriesOf, sortSeries, studyOf } from "../../model/series";
import { text } from "../../dicomweb/dicom-json";
import { Tag } from "../../model/tags";
import type { Voi } from "../../model/voi";
import { voiPresets } from "../../model/windows";
import type { ToolId } from "../../tools/tool-table";
import type { Prefetcher } from "../../viewport/prefetch";
import type { StackView } from "../../viewport/stack-view";
import { DraftKeeper } from "./draft-keeper";
import type * as Imaging from "./imaging";
import {
	displaySetById,
	displaySetsIn,
	FIRST_STATE,
	type Layout,
	locate,
	type Panel,
	panesForLayout,
	type SeriesEntry,
	type ViewerState,
} from "./viewer-state";

const MOST_PANES = 25;
const OFFER_UNDO = 8000;
/** Milliseconds that the imaging core waits for a slow search at most. */
const LONGEST_WAIT = 200;
const PRIOR_FIELDS =
	"StudyDescription,ModalitiesInStudy,PatientBirthDate,IssuerOfPatientID,NumberOfStudyRelatedInstances";

export class ViewerSession {
	private state: ViewerState = FIRST_STATE;
	private readonly listeners = new Set<() => void>();
	private readonly stopping = new AbortController();
	private readonly startAt = new Map<number, number>();
	private prefetcher: Prefetcher | undefined;
	private keeper: DraftKeeper | undefined;
	private deletedTimer: ReturnType<typeof setTimeout> | undefined;
	private metadataAsked: () => void = () => {};
	imaging: typeof Imaging | undefined;
	views: StackView[] = [];

	constructor(
		readonly studyInstanceUID: string,
		/** Opens another study in place of this one. */
		private readonly leaveFor: (studyInstanceUID: string) => void,
	) {}

	readonly subscribe = (listener: () => void): (() => void) => {
		this.listeners.add(listener);
		return () => this.listeners.delete(listener);
	};

	readonly getState = (): ViewerState => this.state;

	/**
	 * Loads the study and the imaging core side by side. Running the core's code holds up everything
	 * else for a moment, so the first series' metadata is asked for before.
	 */
	start(
		load: () => Promise<typeof Imaging>,
		askText: (current: string) => Promise<string | undefined>,
	): void {
		const asked = new Promise<void>((resolve) => {
			this.metadataAsked = resolve;
			setTimeout(resolve, LONGEST_WAIT);
		});
		this.loadStudy().catch((error: unknown) => this.fail(error));
		void asked.then(load).then(async (imaging) => {
			await imaging.startEngine();
			if (this.stopping.signal.aborted) return;
			imaging.startTools(askText);
			imaging.makeToolGroup();
			this.imaging = imaging;
			this.views = Array.from({ length: MOST_PANES }, (_, index) => {
				const view = new imaging.StackView(`viewport-${index}`);
				view.subscribe(() => this.viewChanged(index));
				return view;
			});
			imaging.onScroll((id, steps) => this.views.find((view) => view.id === id)?.scrollBy(steps));
			this.prefetcher = new imaging.Prefetcher({
				wanted: () => this.wanted(),
				busy: () => this.visible().some((view) => view.getState().status === "loading"),
			});
			this.set({});
			this.keepDraft();
		});
	}

	/** Leaves nothing of the patient behind. */
	dispose(): void {
		this.keeper?.stop();
		clearTimeout(this.deletedTimer);
		this.stopping.abort();
		this.prefetcher?.stop();
		for (const view of this.views) view.dispose();
		this.imaging?.destroyToolGroup();
		this.imaging?.forgetMeasurements();
		this.imaging?.leaveStudy();
		this.views = [];
		this.state = FIRST_STATE;
		this.listeners.clear();
	}

	get activeView(): StackView | undefined {
		return this.views[this.state.active];
	}

	get activeDisplaySet(): DisplaySet | undefined {
		return displaySetById(this.state, this.state.panes[this.state.active]);
	}

	private async loadStudy(): Promise<void> {
		const { signal } = this.stopping;
		const [rows, seriesRows] = await Promise.all([
			searchStudies(
				{ StudyInstanceUID: this.studyInstanceUID, includefield: "StudyDescription", limit: "1" },
				signal,
			),
			searchSeries(this.studyInstanceUID, signal),
		]);
		const row = rows.find((each) => text(each, Tag.StudyInstanceUID) === this.studyInstanceUID);
		if (!row) throw new RequestError("The archive does not have this study.", 404);
		const series = sortSeries(seriesRows.map(seriesOf)).map(
			(each): SeriesEntry => ({
				series: each,
				status: "waiting",
				failure: undefined,
				displaySets: [],
			}),
		);
		const study = studyOf(row);
		this.set({ study, series, loaded: true });
		this.keepDraft();
		document.title = `${study.patient.name} · ${study.patient.id}`;
		for (const { series: each } of series) await this.loadSeries(each.seriesInstanceUID);
		await this.loadPriors();
	}

	/** Reads one series' metadata; the first one with something to show goes on the screen. */
	async loadSeries(seriesInstanceUID: string): Promise<void> {
		const { signal } = this.stopping;
		this.updateSeries(seriesInstanceUID, { status: "loading", failure: undefined });
		try {
			const asked = seriesMetadata(this.studyInstanceUID, seriesInstanceUID, { signal });
			this.metadataAsked();
			const instances = await asked;
			const displaySets = displaySetsOf(instances);
			this.updateSeries(seriesInstanceUID, { status: "ready", displaySets });
			this.keeper?.seriesRead();
			const first = displaySets[0];
			if (first && this.state.panes.every((pane) => pane === undefined)) this.open(first.id, 0);
		} catch (error) {
			if (signal.aborted) throw error;
			if (error instanceof RequestError && error.signedOut) throw error;
			const failure = error instanceof Error ? error.message : String(error);
			this.updateSeries(seriesInstanceUID, { status: "failed", failure });
		}
	}

	/** Once the study and the engine are both there. */
	private keepDraft(): void {
		const { imaging } = this;
		if (this.keeper || !imaging || !this.state.loaded) return;
		this.keeper = new DraftKeeper(this.studyInstanceUID, imaging, {
			imageIdOf: ({ sopInstanceUID, frameNumber }) => {
				const found = locate(this.state, sopInstanceUID, frameNumber);
				const frame = found?.displaySet.frames[found.index];
				return frame && imaging.imageIdOf(frame);
			},
			redraw: () => this.redraw(),
			changed: (draft) => this.set({ draft }),
		});
	}

	retryDraft(): void {
		this.keeper?.retry();
	}

	private async loadPriors(): Promise<void> {
		const { study } = this.state;
		if (!study?.patient.id) return;
		const rows = await searchStudies(
			{ PatientID: study.patient.id, includefield: PRIOR_FIELDS, limit: "50" },
			this.stopping.signal,
		);
		this.set({ priors: priorsOf(study, rows.map(studyOf)) });
	}

	private fail(error: unknown): void {
		this.metadataAsked();
		if (this.stopping.signal.aborted) return;
		const sentence = error instanceof Error ? error.message : String(error);
		const signedOut = error instanceof RequestError && error.signedOut;
		this.set({ failure: { sentence, signedOut } });
	}

	/** Puts a display set into a viewport, at a frame if one is given. */
	open(id: string, pane = this.state.active, index?: number): void {
		const panes = this.state.panes.map((each, at) => (at === pane ? id : each));
		if (this.state.panes[pane] === id) {
			if (index !== undefined) this.views[pane]?.goTo(index);
			this.activate(pane);
			return;
		}
		if (index === undefined) this.startAt.delete(pane);
		else this.startAt.set(pane, index);
		this.set({ panes, active: pane });
		this.prefetcher?.wake();
	}

	/** Where a display set that was just opened begins; asked once. */
	takeStart(pane: number): number | undefined {
		const index = this.startAt.get(pane);
		this.startAt.delete(pane);
		return index;
	}

	/** Shows an image a report or measurement refers to, beside the report where there is room. */
	openReference(sopInstanceUID: string, frameNumber?: number): void {
		const found = locate(this.state, sopInstanceUID, frameNumber);
		if (!found) return;
		const { panes, active, layout } = this.state;
		const there = panes.indexOf(found.displaySet.id);
		if (there >= 0) {
			this.open(found.displaySet.id, there, found.index);
			return;
		}
		const reading = this.activeDisplaySet?.kind === "report";
		if (reading && panes.length === 1) {
			this.setLayout({ rows: 1, columns: 2 });
			this.open(found.displaySet.id, 1, found.index);
		} else if (reading && layout.rows * layout.columns > 1) {
			this.open(found.displaySet.id, (active + 1) % panes.length, found.index);
		} else this.open(found.displaySet.id, active, found.index);
	}

	/** The next or previous display set in the strip, into the active viewport. */
	stepSeries(step: 1 | -1): void {
		const sets = displaySetsIn(this.state);
		const at = sets.findIndex((set) => set.id === this.activeDisplaySet?.id);
		const next = sets[at + step];
		if (next) this.open(next.id);
	}

	/** The page that says which radiographs of this study appear inverted, and why. */
	comparePolarities(): void {
		window.open(`/polarity/studies/${encodeURIComponent(this.studyInstanceUID)}/`, "_blank");
	}

	/** Another study of the patient: 1 the one before this in time, -1 the one after. */
	stepStudy(step: 1 | -1): void {
		const { priors } = this.state;
		const at = priors.findIndex((each) => each.studyInstanceUID === this.studyInstanceUID);
		const next = at < 0 ? undefined : priors[at + step];
		if (next) this.leaveFor(next.studyInstanceUID);
	}

	/** Gives up what is being drawn. */
	cancelDrawing(): void {
		const element = this.activeView?.viewport?.element;
		if (element) this.imaging?.cancelDrawing(element);
		this.redraw();
	}

	activate(pane: number): void {
		if (pane === this.state.active) return;
		this.set({ active: pane });
		this.applyReferenceLines();
		this.prefetcher?.wake();
	}

	nextPane(step: 1 | -1): void {
		const count = this.state.panes.length;
		this.activate((this.state.active + step + count) % count);
	}

	setLayout(layout: Layout): void {
		const panes = panesForLayout(this.state, layout);
		const active = Math.min(this.state.active, panes.length - 1);
		this.set({ layout, panes, active, maximised: false });
	}

	toggleMaximised(pane = this.state.active): void {
		if (this.state.panes.length === 1) return;
		this.set({ active: pane, maximised: !this.state.maximised });
	}

	setTool(tool: ToolId): void {
		this.imaging?.activateTool(tool);
		this.set({ tool });
	}

	togglePanel(panel: Panel): void {
		this.set({ panel: this.state.panel === panel ? undefined : panel });
	}

	toggle(name: "overlay" | "strip" | "synchronised" | "referenceLines"): void {
		this.set({ [name]: !this.state[name] });
		if (name === "referenceLines") this.applyReferenceLines();
	}

	toggleSmooth(): void {
		this.set({ smooth: !this.state.smooth });
		for (const view of this.views) view.setSmooth(this.state.smooth);
	}

	setDialog(dialog: ViewerState["dialog"]): void {
		this.set({ dialog });
	}

	/** What keys 1 to 9 apply to the active viewport. */
	presets(): Voi[] {
		const state = this.activeView?.getState();
		const frame = state?.shown?.frame;
		if (!frame || state.color) return [];
		return voiPresets(frame.attributes, state.offered.flatMap(tableOf));
	}

	/** Window preset by number from 1. */
	applyPreset(number: number): void {
		const preset = this.presets()[number - 1];
		if (preset) this.activeView?.applyVoi(preset);
	}

	toggleCine(): void {
		const view = this.activeView;
		if (!view) return;
		if (view.getState().playing) view.stop();
		else view.play();
	}

	deleteSelected(): void {
		const { imaging } = this;
		for (const id of imaging?.selectedMeasurements() ?? []) this.deleteMeasurement(id);
	}

	/** Deletes it and offers, for a while, to bring it back. */
	deleteMeasurement(id: string): void {
		const gone = this.imaging?.measurements().find((each) => each.id === id);
		this.imaging?.deleteMeasurement(id, this.activeView?.viewport?.element);
		this.redraw();
		clearTimeout(this.deletedTimer);
		this.set({ deleted: gone?.text || gone?.label });
		this.deletedTimer = setTimeout(() => this.set({ deleted: undefined }), OFFER_UNDO);
	}

	undo(): void {
		this.imaging?.undo();
		this.set({ deleted: undefined });
		this.redraw();
	}

	redo(): void {
		this.imaging?.redo();
		this.redraw();
	}

	private redraw(): void {
		for (const view of this.visible()) view.viewport?.render();
	}

	private visible(): StackView[] {
		return this.views.slice(0, this.state.panes.length);
	}

	private wanted() {
		const active = this.activeView;
		const ordered = [active, ...this.visible().filter((view) => view !== active)];
		return ordered.flatMap((view) => view?.wanted() ?? []);
	}

	private viewChanged(pane: number): void {
		this.prefetcher?.wake();
		if (this.state.synchronised && pane === this.state.active) this.follow(pane);
	}

	/** Takes the other viewports to the slice nearest in space. */
	private follow(pane: number): void {
		const frame = this.views[pane]?.getState().shown?.frame;
		const position = frame && slicePosition(frame.attributes);
		if (!frame || position === undefined) return;
		const space = text(frame.attributes, Tag.FrameOfReferenceUID);
		for (const view of this.visible()) {
			const set = view.getState().displaySet;
			if (!set || view === this.views[pane]) continue;
			const distances = set.frames.map((each) =>
				text(each.attributes, Tag.FrameOfReferenceUID) === space
					? Math.abs((slicePosition(each.attributes) ?? Number.POSITIVE_INFINITY) - position)
					: Number.POSITIVE_INFINITY,
			);
			const nearest = Math.min(...distances);
			if (Number.isFinite(nearest)) view.goTo(distances.indexOf(nearest));
		}
	}

	private applyReferenceLines(): void {
		const source = this.state.referenceLines ? this.activeView?.id : undefined;
		this.imaging?.showReferenceLines(source);
		this.redraw();
	}

	private updateSeries(seriesInstanceUID: string, change: Partial<SeriesEntry>): void {
		this.set({
			series: this.state.series.map((entry) =>
				entry.series.seriesInstanceUID === seriesInstanceUID ? { ...entry, ...change } : entry,
			),
		});
	}

	private set(change: Partial<ViewerState>): void {
		if (this.stopping.signal.aborted) return;
		this.state = { ...this.state, ...change };
		for (const listener of this.listeners) listener();
	}
}

const tableOf = (voi: Voi) => (voi.kind === "table" ? [voi.table] : []);
