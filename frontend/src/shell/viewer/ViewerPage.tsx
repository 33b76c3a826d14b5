import { useParams } from "react-router";
import { Notice } from "../Notice";

export default function ViewerPage() {
	const { studyInstanceUID } = useParams();
	return <Notice title="Opening study">{studyInstanceUID}</Notice>;
}
