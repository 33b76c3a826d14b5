import { Copy, Trash2 } from "lucide-react";
import { useSyncExternalStore } from "react";
import type { Measurement } from "../../tools/measurements";
import { readingText } from "../../tools/readings";
import { Notice } from "../Notice";
import { Tip } from "../Tip";
import { DraftWords } from "./DraftWords";
import { useSession, useViewer } from "./session-context";
import { locate, type ViewerState } from "./viewer-state";

const NONE: readonly Measurement[] = [];

function whereIs(state: ViewerState, measurement: Measurement): string {
	const found = locate(state, measurement.sopInstanceUID, measurement.frameNumber);
	if (!found) return "";
	const { displaySet, index } = found;
	return `${displaySet.modality} ${displaySet.seriesNumber ?? ""} · image ${index + 1}`;
}

function valueWords(measurement: Measurement): string {
	return measurement.readings
		.map((reading) => `${reading.name} ${readingText(reading)}`)
		.join("  ");
}

export function MeasurementsPanel() {
	const session = useSession();
	const state = useViewer();
	const { imaging } = session;
	const all = useSyncExternalStore(
		imaging?.subscribeMeasurements ?? (() => () => {}),
		imaging?.measurements ?? (() => NONE),
	);
	if (all.length === 0) {
		return (
			<Notice title="Nothing is measured yet.">
				<p>
					Press <kbd>l</kbd> for a length, <kbd>e</kbd> for an ellipse, <kbd>a</kbd> for an angle.
				</p>
			</Notice>
		);
	}
	const copy = () =>
		navigator.clipboard.writeText(
			all
				.map((each) =>
					[each.label, each.text, valueWords(each), each.note, whereIs(state, each)]
						.filter(Boolean)
						.join("\t"),
				)
				.join("\n"),
		);
	return (
		<>
			<div className="panel-bar">
				<DraftWords long />
				<Tip label="Copy all as text">
					<button
						type="button"
						className="icon-button"
						aria-label="Copy all as text"
						onClick={() => void copy()}
					>
						<Copy size={14} />
					</button>
				</Tip>
			</div>
			<ul className="panel-list">
				{all.map((each) => (
					<li key={each.id}>
						<button
							type="button"
							data-active={each.selected}
							onClick={() => {
								session.openReference(each.sopInstanceUID, each.frameNumber);
								imaging?.selectMeasurement(each.id);
							}}
						>
							<strong>{each.text || each.label}</strong>
							<span className="measured">{valueWords(each)}</span>
							<span>{[each.note, whereIs(state, each)].filter(Boolean).join(" · ")}</span>
						</button>
						<button
							type="button"
							className="icon-button"
							aria-label={`Delete ${each.label}`}
							onClick={() => session.deleteMeasurement(each.id)}
						>
							<Trash2 size={14} />
						</button>
					</li>
				))}
			</ul>
		</>
	);
}
