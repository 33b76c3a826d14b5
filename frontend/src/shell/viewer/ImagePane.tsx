import { RotateCw, TriangleAlert } from "lucide-react";
import { type RefObject, useEffect, useRef } from "react";
import type { DisplaySet } from "../../model/display-sets";
import { CineBar } from "./CineBar";
import { Overlay } from "./Overlay";
import { SliceRail } from "./SliceRail";
import { useSession, useView, useViewer } from "./session-context";
import type { ViewerSession } from "./viewer-session";

/** Wheel: scroll; with Shift the next series; with Ctrl zoom. Fine wheels add up to whole steps. */
function useWheel(session: ViewerSession, index: number, ready: boolean) {
	const place = useRef<HTMLDivElement>(null);
	useEffect(() => {
		const element = place.current;
		if (!element || !ready) return;
		let collected = 0;
		const onWheel = (event: WheelEvent) => {
			event.preventDefault();
			session.activate(index);
			const view = session.views[index];
			const delta = event.deltaY || event.deltaX;
			if (event.ctrlKey) {
				view?.zoomBy(delta < 0 ? 1.1 : 1 / 1.1);
				return;
			}
			collected += event.deltaMode === 0 ? delta / 100 : Math.sign(delta);
			const steps =
				Math.abs(collected) >= 0.5
					? Math.sign(collected) * Math.max(1, Math.round(Math.abs(collected)))
					: 0;
			if (steps === 0) return;
			collected = 0;
			if (event.shiftKey) session.stepSeries(steps > 0 ? 1 : -1);
			else view?.scrollBy(steps);
		};
		// The right button zooms.
		const noMenu = (event: Event) => event.preventDefault();
		element.addEventListener("wheel", onWheel, { passive: false });
		element.addEventListener("contextmenu", noMenu);
		return () => {
			element.removeEventListener("wheel", onWheel);
			element.removeEventListener("contextmenu", noMenu);
		};
	}, [session, index, ready]);
	return place;
}

/** Several fingers on a viewport, before the engine takes them for one. */
function useTouch(session: ViewerSession, index: number, place: RefObject<HTMLDivElement | null>) {
	const { imaging } = session;
	useEffect(() => {
		const element = place.current;
		const view = session.views[index];
		if (!element || !imaging || !view) return;
		return imaging.listenForGestures(element, {
			begin: () => {
				session.activate(index);
				if (view.viewport) imaging.cancelDrawing(view.viewport.element);
			},
			pan: (dx, dy) => view.panBy(dx, dy),
			zoom: (factor, around) => view.zoomAround(factor, around),
			scroll: (steps) => view.scrollBy(steps),
		});
	}, [imaging, session, index, place]);
}

/** A stack of images with what is written over it. */
export function ImagePane({ index, displaySet }: { index: number; displaySet: DisplaySet }) {
	const session = useSession();
	const { overlay } = useViewer();
	const { imaging } = session;
	const view = session.views[index];
	const state = useView(view);
	const element = useRef<HTMLDivElement>(null);
	const wheel = useWheel(session, index, view !== undefined);
	useTouch(session, index, element);
	useEffect(() => {
		const place = element.current;
		if (!imaging || !view || !place) return;
		view.attach(place);
		imaging.addToTools(view.id);
		void view.show(displaySet, session.takeStart(index));
		return () => {
			imaging.removeFromTools(view.id);
			view.detach();
			view.clear();
		};
	}, [imaging, view, displaySet, session, index]);
	const failed = state?.status === "failed";
	return (
		<div
			className="image-pane"
			ref={wheel}
			data-status={state?.status ?? "loading"}
			data-sop-instance-uid={state?.shown?.frame.sopInstanceUID}
		>
			<div className="image-canvas" ref={element} />
			{state?.shown && !failed && overlay && <Overlay state={state} />}
			{failed && (
				<div className="cover" role="alert">
					<TriangleAlert size={24} aria-hidden="true" />
					<strong>
						Image {state.requested + 1} of {displaySet.frames.length} cannot be shown
					</strong>
					<p>{state.failure}</p>
					<button type="button" className="button" onClick={() => void view?.retry()}>
						<RotateCw size={14} aria-hidden="true" /> Try again
					</button>
				</div>
			)}
			{state && displaySet.frames.length > 1 && view && <SliceRail view={view} state={state} />}
			{state?.playing && view && <CineBar view={view} state={state} />}
		</div>
	);
}
