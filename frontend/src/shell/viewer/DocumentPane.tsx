import { useEffect, useMemo, useState } from "react";
import { bulkData, presentedUrl, videoUrl } from "../../dicomweb/client";
import { inlineBinary, text } from "../../dicomweb/dicom-json";
import type { DisplaySet } from "../../model/display-sets";
import { ageOf, birthWords, patientOf, readableDate, readableSex } from "../../model/patient";
import { reportOf } from "../../model/report";
import { Tag } from "../../model/tags";
import { ReportPage } from "../../reports/ReportPage";
import { Notice } from "../Notice";
import { useSession, useViewer } from "./session-context";
import { WaveformView } from "./WaveformView";
import { locate } from "./viewer-state";

function ReportView({ displaySet }: { displaySet: DisplaySet }) {
	const session = useSession();
	const state = useViewer();
	const instance = displaySet.instances[0] ?? {};
	const report = useMemo(() => reportOf(instance), [instance]);
	const patient = patientOf(instance);
	const age = ageOf(patient, text(instance, Tag.StudyDate));
	return (
		<ReportPage
			report={report}
			patient={[
				patient.name,
				patient.id,
				birthWords(patient.birthDate, age),
				readableSex(patient.sex),
			]}
			describe={(reference) => {
				const found = locate(state, reference.sopInstanceUID, reference.frameNumber);
				if (!found) return undefined;
				const { displaySet: set, index } = found;
				const series = [set.modality, set.seriesNumber]
					.filter((part) => part !== undefined)
					.join(" ");
				return set.frames.length > 0 ? `${series}, image ${index + 1}` : series;
			}}
			open={(reference) => session.openReference(reference.sopInstanceUID, reference.frameNumber)}
		/>
	);
}

/** A PDF in the browser's own reader. */
function PdfView({ displaySet }: { displaySet: DisplaySet }) {
	const instance = displaySet.instances[0];
	const [shown, setShown] = useState<{ url?: string; failure?: string }>({});
	useEffect(() => {
		const stopping = new AbortController();
		let url: string | undefined;
		const attribute = instance?.[Tag.EncapsulatedDocument];
		const bytes = attribute?.BulkDataURI
			? bulkData(attribute.BulkDataURI, stopping.signal)
			: Promise.resolve(inlineBinary(attribute));
		bytes.then(
			(found) => {
				if (stopping.signal.aborted) return;
				if (!found) setShown({ failure: "The document holds no bytes." });
				else {
					const copy = new Uint8Array(found);
					url = URL.createObjectURL(new Blob([copy], { type: "application/pdf" }));
					setShown({ url });
				}
			},
			(error: unknown) => {
				if (!stopping.signal.aborted)
					setShown({ failure: error instanceof Error ? error.message : String(error) });
			},
		);
		return () => {
			stopping.abort();
			if (url) URL.revokeObjectURL(url);
		};
	}, [instance]);
	if (shown.failure) return <Notice title="The document cannot be shown.">{shown.failure}</Notice>;
	if (!shown.url) return <Notice title="Loading the document" />;
	return (
		<iframe className="pdf" src={shown.url} title={displaySet.description || "PDF document"} />
	);
}

const CARD_WORDS: Readonly<Partial<Record<DisplaySet["kind"], string>>> = {
	segmentation:
		"Segmentations are stored and can be retrieved; they are not drawn over images yet.",
	presentation:
		"It says how images are to be shown. The images it is for are not here, or cannot be drawn with it.",
	radiotherapy: "Radiotherapy objects are stored and can be retrieved; they are not drawn yet.",
	video: "This browser cannot play the video as it is stored.",
};

function ObjectCard({ displaySet }: { displaySet: DisplaySet }) {
	const session = useSession();
	const instance = displaySet.instances[0] ?? {};
	const lines = [
		displaySet.description,
		text(instance, Tag.Manufacturer),
		readableDate(text(instance, Tag.ContentDate) || text(instance, Tag.StudyDate)),
	].filter(Boolean);
	return (
		<Notice title={displaySet.className}>
			<p>{lines.join(" · ")}</p>
			<p>
				{CARD_WORDS[displaySet.kind] ??
					"This object has no picture to show. It is stored as it came."}
			</p>
			<button type="button" className="button" onClick={() => session.togglePanel("header")}>
				Look into its header
			</button>
		</Notice>
	);
}

/** A video in the browser's own player; what it cannot play is said. */
function VideoView({ displaySet }: { displaySet: DisplaySet }) {
	const [failed, setFailed] = useState(false);
	const instance = text(displaySet.instances[0] ?? {}, Tag.SOPInstanceUID);
	if (failed) return <ObjectCard displaySet={displaySet} />;
	return (
		// biome-ignore lint/a11y/useMediaCaption: an examination has no captions
		<video
			className="video"
			controls
			preload="metadata"
			aria-label={displaySet.description || displaySet.className}
			src={videoUrl(displaySet.studyInstanceUID, displaySet.seriesInstanceUID, instance)}
			onError={() => setFailed(true)}
		/>
	);
}

/** An image as a presentation state shows it, drawn by the server; the other panes do without. */
function PresentedView({ displaySet }: { displaySet: DisplaySet }) {
	const [failed, setFailed] = useState(false);
	const instance = text(displaySet.instances[0] ?? {}, Tag.SOPInstanceUID);
	if (failed) return <ObjectCard displaySet={displaySet} />;
	const url = presentedUrl(displaySet.studyInstanceUID, displaySet.seriesInstanceUID, instance);
	return (
		<figure className="presented">
			<img
				src={url}
				alt={`Drawn with the presentation state ${displaySet.description}`.trim()}
				onError={() => setFailed(true)}
			/>
			<figcaption>
				The first image this presentation state is for, drawn with it. It is a picture: not for
				measuring. Other panes show images without it.{" "}
				<a href={url} target="_blank" rel="noopener">
					Open the picture alone
				</a>
			</figcaption>
		</figure>
	);
}

/** Whatever is no stack of images. */
export function DocumentPane({ displaySet }: { displaySet: DisplaySet }) {
	if (displaySet.kind === "report") return <ReportView displaySet={displaySet} />;
	if (displaySet.kind === "video") return <VideoView displaySet={displaySet} />;
	if (displaySet.kind === "presentation") return <PresentedView displaySet={displaySet} />;
	if (displaySet.kind === "waveform") return <WaveformView displaySet={displaySet} />;
	const type = text(displaySet.instances[0] ?? {}, Tag.MIMETypeOfEncapsulatedDocument);
	if (displaySet.kind === "document" && (type === "application/pdf" || type === "")) {
		return <PdfView displaySet={displaySet} />;
	}
	return <ObjectCard displaySet={displaySet} />;
}
