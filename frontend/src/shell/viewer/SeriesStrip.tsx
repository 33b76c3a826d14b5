import { FileText, Image as ImageIcon, RotateCw } from "lucide-react";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { thumbnail } from "../../dicomweb/client";
import { text } from "../../dicomweb/dicom-json";
import type { DisplaySet } from "../../model/display-sets";
import { Tag } from "../../model/tags";
import { useSession, useView, useViewer } from "./session-context";
import type { SeriesEntry } from "./viewer-state";

export const DRAG_TYPE = "application/x-pacsweb-display-set";

/** How many of a stack's images are in memory. */
function useCached(displaySet: DisplaySet): number {
	const { imaging } = useSession();
	useSyncExternalStore(
		imaging?.subscribeStatus ?? (() => () => {}),
		imaging?.statusVersion ?? (() => 0),
	);
	if (!imaging) return 0;
	return displaySet.frames.filter(
		(frame) => imaging.statusOf(imaging.imageIdOf(frame)) === "cached",
	).length;
}

/** The middle image, fetched when the card is near the screen and nothing visible is waited for. */
function Thumbnail({ displaySet }: { displaySet: DisplaySet }) {
	const [url, setUrl] = useState<string>();
	const place = useRef<HTMLDivElement>(null);
	const session = useSession();
	const settled = useView(session.activeView)?.status !== "loading";
	const frame = displaySet.frames[Math.floor(displaySet.frames.length / 2)];
	const { wholeSeries } = displaySet;
	const wanted = settled || url !== undefined;
	useEffect(() => {
		if (!frame || !wanted || !place.current) return;
		const stopping = new AbortController();
		const observer = new IntersectionObserver((entries) => {
			if (!entries.some((entry) => entry.isIntersecting)) return;
			observer.disconnect();
			const instance = wholeSeries ? undefined : frame.sopInstanceUID;
			thumbnail(frame.studyInstanceUID, frame.seriesInstanceUID, instance, {
				signal: stopping.signal,
			}).then(
				(picture) => {
					if (stopping.signal.aborted) URL.revokeObjectURL(picture);
					else setUrl((before) => before ?? picture);
				},
				// Without a picture the card still says what it is.
				() => {},
			);
		});
		if (url === undefined) observer.observe(place.current);
		return () => {
			observer.disconnect();
			stopping.abort();
		};
	}, [frame, wholeSeries, wanted, url]);
	useEffect(() => () => void (url && URL.revokeObjectURL(url)), [url]);
	const Icon = displaySet.kind === "image" ? ImageIcon : FileText;
	return (
		<div className="thumbnail" ref={place}>
			{url ? <img src={url} alt="" draggable={false} /> : <Icon size={24} aria-hidden="true" />}
		</div>
	);
}

function Ring({ share }: { share: number }) {
	if (share >= 1) return null;
	const round = 2 * Math.PI * 5;
	return (
		<svg className="ring" viewBox="0 0 14 14" width="14" height="14" aria-hidden="true">
			<circle cx="7" cy="7" r="5" />
			<circle cx="7" cy="7" r="5" strokeDasharray={`${round * share} ${round}`} data-done />
		</svg>
	);
}

function Card({ displaySet }: { displaySet: DisplaySet }) {
	const session = useSession();
	const { panes, active } = useViewer();
	const cached = useCached(displaySet);
	const count = displaySet.frames.length;
	const shown = panes.includes(displaySet.id);
	const words =
		displaySet.kind === "image"
			? `${count} ${count === 1 ? "image" : "images"}`
			: displaySet.className.toLowerCase();
	return (
		<button
			type="button"
			className="series-card"
			data-shown={shown}
			data-active={panes[active] === displaySet.id}
			draggable
			title={displaySet.description}
			onDragStart={(event) => {
				event.dataTransfer.setData(DRAG_TYPE, displaySet.id);
				event.dataTransfer.effectAllowed = "copy";
			}}
			onClick={() => session.open(displaySet.id)}
		>
			<Thumbnail displaySet={displaySet} />
			<span className="series-line">
				<b>{displaySet.modality}</b>
				<span>{displaySet.seriesNumber ?? ""}</span>
				<span className="series-name">
					{displaySet.description ||
						(displaySet.kind === "image"
							? text(displaySet.instances[0] ?? {}, Tag.BodyPartExamined)
							: displaySet.className)}
				</span>
			</span>
			<span className="series-count">
				{words}
				{shown && count > 1 && <Ring share={cached / count} />}
			</span>
		</button>
	);
}

/** A series whose metadata is not here yet keeps the place its card will take. */
function Waiting({ entry }: { entry: SeriesEntry }) {
	const session = useSession();
	const { series, status, failure } = entry;
	return (
		<div className="series-card" data-status={status}>
			<div className="thumbnail">
				{status === "failed" && (
					<button
						type="button"
						className="icon-button"
						aria-label="Try again"
						title="Try again"
						onClick={() => void session.loadSeries(series.seriesInstanceUID)}
					>
						<RotateCw size={16} />
					</button>
				)}
			</div>
			<span className="series-line">
				<b>{series.modality}</b>
				<span>{series.number ?? ""}</span>
				<span className="series-name">{series.description}</span>
			</span>
			<span className="series-count">
				{failure ??
					(series.numberOfInstances === undefined ? "" : `${series.numberOfInstances} images`)}
			</span>
		</div>
	);
}

export function SeriesStrip() {
	const { series } = useViewer();
	return (
		<nav className="strip" aria-label="Series">
			{series.map((entry) =>
				entry.status === "ready" ? (
					entry.displaySets.map((displaySet) => (
						<Card displaySet={displaySet} key={displaySet.id} />
					))
				) : (
					<Waiting entry={entry} key={entry.series.seriesInstanceUID} />
				),
			)}
		</nav>
	);
}
