import { useState } from "react";
import { Notice } from "../Notice";
import { DocumentPane } from "./DocumentPane";
import { ImagePane } from "./ImagePane";
import { DRAG_TYPE } from "./SeriesStrip";
import { useSession, useViewer } from "./session-context";
import { displaySetById } from "./viewer-state";

/** One place in the grid: an image stack, a document, or room for either. */
export function Pane({
	index,
	displaySetId,
	hidden,
}: {
	index: number;
	displaySetId: string | undefined;
	hidden: boolean;
}) {
	const session = useSession();
	const state = useViewer();
	const [over, setOver] = useState(false);
	const displaySet = displaySetById(state, displaySetId);
	const waiting = !state.loaded || state.series.some(({ status }) => status === "loading");
	return (
		<section
			className="pane"
			aria-label={`Viewport ${index + 1}`}
			data-active={index === state.active && state.panes.length > 1}
			data-over={over}
			hidden={hidden}
			onPointerDownCapture={() => session.activate(index)}
			onDoubleClick={() => session.toggleMaximised(index)}
			onDragOver={(event) => {
				if (!event.dataTransfer.types.includes(DRAG_TYPE)) return;
				event.preventDefault();
				setOver(true);
			}}
			onDragLeave={() => setOver(false)}
			onDrop={(event) => {
				setOver(false);
				const id = event.dataTransfer.getData(DRAG_TYPE);
				if (id) session.open(id, index);
			}}
		>
			{displaySet?.kind === "image" && (
				<ImagePane key={displaySet.id} index={index} displaySet={displaySet} />
			)}
			{displaySet && displaySet.kind !== "image" && (
				<DocumentPane key={displaySet.id} displaySet={displaySet} />
			)}
			{!displaySet && !(waiting && index === 0) && (
				<Notice title="">
					<p>Drag a series here.</p>
				</Notice>
			)}
		</section>
	);
}
