"""TABLE: storage SOP Classes (PS3.4 B.5, PS3.6 table A-1), with the kind of object each holds.

Verification, Query/Retrieve and the other services' SOP Classes belong to the service's own module;
this table answers what an object is that we were sent. An unknown UID is a private or future
storage SOP Class: it is stored like any other (PS3.4 B.4.1), only nothing is known about it.
"""

# ruff: noqa: E501  a table reads best with one row a line

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class SopClass:
    """One row. `kind` says how an instance is shown: image, report, presentation, document, ...

    `storage` is false for what exists on media only and never travels by C-STORE or STOW-RS.
    `resource` names the category of an object that belongs to no patient and no study, as PS3.18
    12.1.1 does (PS3.4 GG.3; the approvals by CP-2551).
    """

    uid: str
    keyword: str
    name: str
    kind: str
    storage: bool = True
    retired: bool = False
    resource: str = ""


def row(
    uid: str,
    keyword: str,
    name: str,
    kind: str,
    *,
    storage: bool = True,
    retired: bool = False,
    resource: str = "",
) -> SopClass:
    """One line of the table."""
    return SopClass(uid, keyword, name, kind, storage, retired, resource)


_R = "1.2.840.10008.5.1.4.1.1."

# fmt: off
TABLE: Final[tuple[SopClass, ...]] = (
    row("1.2.840.10008.1.3.10",                "MediaStorageDirectoryStorage",                                        "Media Storage Directory Storage", "directory", storage=False),
    row("1.2.840.10008.5.1.1.27",              "StoredPrintStorage",                                                  "Stored Print Storage SOP Class", "print", retired=True),
    row("1.2.840.10008.5.1.1.29",              "HardcopyGrayscaleImageStorage",                                       "Hardcopy Grayscale Image Storage SOP Class", "image", retired=True),
    row("1.2.840.10008.5.1.1.30",              "HardcopyColorImageStorage",                                           "Hardcopy Color Image Storage SOP Class", "image", retired=True),
    row(_R + "1",                              "ComputedRadiographyImageStorage",                                     "Computed Radiography Image Storage", "image"),
    row(_R + "1.1",                            "DigitalXRayImageStorageForPresentation",                              "Digital X-Ray Image Storage - For Presentation", "image"),
    row(_R + "1.1.1",                          "DigitalXRayImageStorageForProcessing",                                "Digital X-Ray Image Storage - For Processing", "image"),
    row(_R + "1.2",                            "DigitalMammographyXRayImageStorageForPresentation",                   "Digital Mammography X-Ray Image Storage - For Presentation", "image"),
    row(_R + "1.2.1",                          "DigitalMammographyXRayImageStorageForProcessing",                     "Digital Mammography X-Ray Image Storage - For Processing", "image"),
    row(_R + "1.3",                            "DigitalIntraOralXRayImageStorageForPresentation",                     "Digital Intra-Oral X-Ray Image Storage - For Presentation", "image"),
    row(_R + "1.3.1",                          "DigitalIntraOralXRayImageStorageForProcessing",                       "Digital Intra-Oral X-Ray Image Storage - For Processing", "image"),
    row(_R + "2",                              "CTImageStorage",                                                      "CT Image Storage", "image"),
    row(_R + "2.1",                            "EnhancedCTImageStorage",                                              "Enhanced CT Image Storage", "image"),
    row(_R + "2.2",                            "LegacyConvertedEnhancedCTImageStorage",                               "Legacy Converted Enhanced CT Image Storage", "image"),
    row(_R + "3",                              "UltrasoundMultiFrameImageStorageRetired",                             "Ultrasound Multi-frame Image Storage", "image", retired=True),
    row(_R + "3.1",                            "UltrasoundMultiFrameImageStorage",                                    "Ultrasound Multi-frame Image Storage", "image"),
    row(_R + "4",                              "MRImageStorage",                                                      "MR Image Storage", "image"),
    row(_R + "4.1",                            "EnhancedMRImageStorage",                                              "Enhanced MR Image Storage", "image"),
    row(_R + "4.2",                            "MRSpectroscopyStorage",                                               "MR Spectroscopy Storage", "spectroscopy"),
    row(_R + "4.3",                            "EnhancedMRColorImageStorage",                                         "Enhanced MR Color Image Storage", "image"),
    row(_R + "4.4",                            "LegacyConvertedEnhancedMRImageStorage",                               "Legacy Converted Enhanced MR Image Storage", "image"),
    row(_R + "5",                              "NuclearMedicineImageStorageRetired",                                  "Nuclear Medicine Image Storage", "image", retired=True),
    row(_R + "6",                              "UltrasoundImageStorageRetired",                                       "Ultrasound Image Storage", "image", retired=True),
    row(_R + "6.1",                            "UltrasoundImageStorage",                                              "Ultrasound Image Storage", "image"),
    row(_R + "6.2",                            "EnhancedUSVolumeStorage",                                             "Enhanced US Volume Storage", "image"),
    row(_R + "6.3",                            "PhotoacousticImageStorage",                                           "Photoacoustic Image Storage", "image"),
    row(_R + "7",                              "SecondaryCaptureImageStorage",                                        "Secondary Capture Image Storage", "image"),
    row(_R + "7.1",                            "MultiFrameSingleBitSecondaryCaptureImageStorage",                     "Multi-frame Single Bit Secondary Capture Image Storage", "image"),
    row(_R + "7.2",                            "MultiFrameGrayscaleByteSecondaryCaptureImageStorage",                 "Multi-frame Grayscale Byte Secondary Capture Image Storage", "image"),
    row(_R + "7.3",                            "MultiFrameGrayscaleWordSecondaryCaptureImageStorage",                 "Multi-frame Grayscale Word Secondary Capture Image Storage", "image"),
    row(_R + "7.4",                            "MultiFrameTrueColorSecondaryCaptureImageStorage",                     "Multi-frame True Color Secondary Capture Image Storage", "image"),
    row(_R + "8",                              "StandaloneOverlayStorage",                                            "Standalone Overlay Storage", "overlay", retired=True),
    row(_R + "9",                              "StandaloneCurveStorage",                                              "Standalone Curve Storage", "curve", retired=True),
    row(_R + "9.1",                            "WaveformStorageTrial",                                                "Waveform Storage - Trial", "waveform", retired=True),
    row(_R + "9.1.1",                          "TwelveLeadECGWaveformStorage",                                        "12-lead ECG Waveform Storage", "waveform"),
    row(_R + "9.1.2",                          "GeneralECGWaveformStorage",                                           "General ECG Waveform Storage", "waveform"),
    row(_R + "9.1.3",                          "AmbulatoryECGWaveformStorage",                                        "Ambulatory ECG Waveform Storage", "waveform"),
    row(_R + "9.1.4",                          "General32bitECGWaveformStorage",                                      "General 32-bit ECG Waveform Storage", "waveform"),
    row(_R + "9.2.1",                          "HemodynamicWaveformStorage",                                          "Hemodynamic Waveform Storage", "waveform"),
    row(_R + "9.3.1",                          "CardiacElectrophysiologyWaveformStorage",                             "Cardiac Electrophysiology Waveform Storage", "waveform"),
    row(_R + "9.4.1",                          "BasicVoiceAudioWaveformStorage",                                      "Basic Voice Audio Waveform Storage", "waveform"),
    row(_R + "9.4.2",                          "GeneralAudioWaveformStorage",                                         "General Audio Waveform Storage", "waveform"),
    row(_R + "9.5.1",                          "ArterialPulseWaveformStorage",                                        "Arterial Pulse Waveform Storage", "waveform"),
    row(_R + "9.6.1",                          "RespiratoryWaveformStorage",                                          "Respiratory Waveform Storage", "waveform"),
    row(_R + "9.6.2",                          "MultichannelRespiratoryWaveformStorage",                              "Multi-channel Respiratory Waveform Storage", "waveform"),
    row(_R + "9.7.1",                          "RoutineScalpElectroencephalogramWaveformStorage",                     "Routine Scalp Electroencephalogram Waveform Storage", "waveform"),
    row(_R + "9.7.2",                          "ElectromyogramWaveformStorage",                                       "Electromyogram Waveform Storage", "waveform"),
    row(_R + "9.7.3",                          "ElectrooculogramWaveformStorage",                                     "Electrooculogram Waveform Storage", "waveform"),
    row(_R + "9.7.4",                          "SleepElectroencephalogramWaveformStorage",                            "Sleep Electroencephalogram Waveform Storage", "waveform"),
    row(_R + "9.8.1",                          "BodyPositionWaveformStorage",                                         "Body Position Waveform Storage", "waveform"),
    row(_R + "10",                             "StandaloneModalityLUTStorage",                                        "Standalone Modality LUT Storage", "lookup-table", retired=True),
    row(_R + "11",                             "StandaloneVOILUTStorage",                                             "Standalone VOI LUT Storage", "lookup-table", retired=True),
    row(_R + "11.1",                           "GrayscaleSoftcopyPresentationStateStorage",                           "Grayscale Softcopy Presentation State Storage", "presentation"),
    row(_R + "11.2",                           "ColorSoftcopyPresentationStateStorage",                               "Color Softcopy Presentation State Storage", "presentation"),
    row(_R + "11.3",                           "PseudoColorSoftcopyPresentationStateStorage",                         "Pseudo-Color Softcopy Presentation State Storage", "presentation"),
    row(_R + "11.4",                           "BlendingSoftcopyPresentationStateStorage",                            "Blending Softcopy Presentation State Storage", "presentation"),
    row(_R + "11.5",                           "XAXRFGrayscaleSoftcopyPresentationStateStorage",                      "XA/XRF Grayscale Softcopy Presentation State Storage", "presentation"),
    row(_R + "11.6",                           "GrayscalePlanarMPRVolumetricPresentationStateStorage",                "Grayscale Planar MPR Volumetric Presentation State Storage", "presentation"),
    row(_R + "11.7",                           "CompositingPlanarMPRVolumetricPresentationStateStorage",              "Compositing Planar MPR Volumetric Presentation State Storage", "presentation"),
    row(_R + "11.8",                           "AdvancedBlendingPresentationStateStorage",                            "Advanced Blending Presentation State Storage", "presentation"),
    row(_R + "11.9",                           "VolumeRenderingVolumetricPresentationStateStorage",                   "Volume Rendering Volumetric Presentation State Storage", "presentation"),
    row(_R + "11.10",                          "SegmentedVolumeRenderingVolumetricPresentationStateStorage",          "Segmented Volume Rendering Volumetric Presentation State Storage", "presentation"),
    row(_R + "11.11",                          "MultipleVolumeRenderingVolumetricPresentationStateStorage",           "Multiple Volume Rendering Volumetric Presentation State Storage", "presentation"),
    row(_R + "11.12",                          "VariableModalityLUTSoftcopyPresentationStateStorage",                 "Variable Modality LUT Softcopy Presentation State Storage", "presentation"),
    row(_R + "12.1",                           "XRayAngiographicImageStorage",                                        "X-Ray Angiographic Image Storage", "image"),
    row(_R + "12.1.1",                         "EnhancedXAImageStorage",                                              "Enhanced XA Image Storage", "image"),
    row(_R + "12.2",                           "XRayRadiofluoroscopicImageStorage",                                   "X-Ray Radiofluoroscopic Image Storage", "image"),
    row(_R + "12.2.1",                         "EnhancedXRFImageStorage",                                             "Enhanced XRF Image Storage", "image"),
    row(_R + "12.3",                           "XRayAngiographicBiPlaneImageStorage",                                 "X-Ray Angiographic Bi-Plane Image Storage", "image", retired=True),
    row(_R + "13.1.1",                         "XRay3DAngiographicImageStorage",                                      "X-Ray 3D Angiographic Image Storage", "image"),
    row(_R + "13.1.2",                         "XRay3DCraniofacialImageStorage",                                      "X-Ray 3D Craniofacial Image Storage", "image"),
    row(_R + "13.1.3",                         "BreastTomosynthesisImageStorage",                                     "Breast Tomosynthesis Image Storage", "image"),
    row(_R + "13.1.4",                         "BreastProjectionXRayImageStorageForPresentation",                     "Breast Projection X-Ray Image Storage - For Presentation", "image"),
    row(_R + "13.1.5",                         "BreastProjectionXRayImageStorageForProcessing",                       "Breast Projection X-Ray Image Storage - For Processing", "image"),
    row(_R + "14.1",                           "IntravascularOpticalCoherenceTomographyImageStorageForPresentation",  "Intravascular Optical Coherence Tomography Image Storage - For Presentation", "image"),
    row(_R + "14.2",                           "IntravascularOpticalCoherenceTomographyImageStorageForProcessing",    "Intravascular Optical Coherence Tomography Image Storage - For Processing", "image"),
    row(_R + "20",                             "NuclearMedicineImageStorage",                                         "Nuclear Medicine Image Storage", "image"),
    row(_R + "30",                             "ParametricMapStorage",                                                "Parametric Map Storage", "parametric-map"),
    row(_R + "66",                             "RawDataStorage",                                                      "Raw Data Storage", "raw"),
    row(_R + "66.1",                           "SpatialRegistrationStorage",                                          "Spatial Registration Storage", "registration"),
    row(_R + "66.2",                           "SpatialFiducialsStorage",                                             "Spatial Fiducials Storage", "registration"),
    row(_R + "66.3",                           "DeformableSpatialRegistrationStorage",                                "Deformable Spatial Registration Storage", "registration"),
    row(_R + "66.4",                           "SegmentationStorage",                                                 "Segmentation Storage", "segmentation"),
    row(_R + "66.5",                           "SurfaceSegmentationStorage",                                          "Surface Segmentation Storage", "surface"),
    row(_R + "66.6",                           "TractographyResultsStorage",                                          "Tractography Results Storage", "tractography"),
    row(_R + "67",                             "RealWorldValueMappingStorage",                                        "Real World Value Mapping Storage", "real-world-values"),
    row(_R + "68.1",                           "SurfaceScanMeshStorage",                                              "Surface Scan Mesh Storage", "surface"),
    row(_R + "68.2",                           "SurfaceScanPointCloudStorage",                                        "Surface Scan Point Cloud Storage", "surface"),
    row(_R + "77.1",                           "VLImageStorageTrial",                                                 "VL Image Storage - Trial", "image", retired=True),
    row(_R + "77.1.1",                         "VLEndoscopicImageStorage",                                            "VL Endoscopic Image Storage", "image"),
    row(_R + "77.1.1.1",                       "VideoEndoscopicImageStorage",                                         "Video Endoscopic Image Storage", "image"),
    row(_R + "77.1.2",                         "VLMicroscopicImageStorage",                                           "VL Microscopic Image Storage", "image"),
    row(_R + "77.1.2.1",                       "VideoMicroscopicImageStorage",                                        "Video Microscopic Image Storage", "image"),
    row(_R + "77.1.3",                         "VLSlideCoordinatesMicroscopicImageStorage",                           "VL Slide-Coordinates Microscopic Image Storage", "image"),
    row(_R + "77.1.4",                         "VLPhotographicImageStorage",                                          "VL Photographic Image Storage", "image"),
    row(_R + "77.1.4.1",                       "VideoPhotographicImageStorage",                                       "Video Photographic Image Storage", "image"),
    row(_R + "77.1.5.1",                       "OphthalmicPhotography8BitImageStorage",                               "Ophthalmic Photography 8 Bit Image Storage", "image"),
    row(_R + "77.1.5.2",                       "OphthalmicPhotography16BitImageStorage",                              "Ophthalmic Photography 16 Bit Image Storage", "image"),
    row(_R + "77.1.5.3",                       "StereometricRelationshipStorage",                                     "Stereometric Relationship Storage", "registration"),
    row(_R + "77.1.5.4",                       "OphthalmicTomographyImageStorage",                                    "Ophthalmic Tomography Image Storage", "image"),
    row(_R + "77.1.5.5",                       "WideFieldOphthalmicPhotographyStereographicProjectionImageStorage",   "Wide Field Ophthalmic Photography Stereographic Projection Image Storage", "image"),
    row(_R + "77.1.5.6",                       "WideFieldOphthalmicPhotography3DCoordinatesImageStorage",             "Wide Field Ophthalmic Photography 3D Coordinates Image Storage", "image"),
    row(_R + "77.1.5.7",                       "OphthalmicOpticalCoherenceTomographyEnFaceImageStorage",              "Ophthalmic Optical Coherence Tomography En Face Image Storage", "image"),
    row(_R + "77.1.5.8",                       "OphthalmicOpticalCoherenceTomographyBscanVolumeAnalysisStorage",      "Ophthalmic Optical Coherence Tomography B-scan Volume Analysis Storage", "measurements"),
    row(_R + "77.1.6",                         "VLWholeSlideMicroscopyImageStorage",                                  "VL Whole Slide Microscopy Image Storage", "image"),
    row(_R + "77.1.7",                         "DermoscopicPhotographyImageStorage",                                  "Dermoscopic Photography Image Storage", "image"),
    row(_R + "77.1.8",                         "ConfocalMicroscopyImageStorage",                                      "Confocal Microscopy Image Storage", "image"),
    row(_R + "77.1.9",                         "ConfocalMicroscopyTiledPyramidalImageStorage",                        "Confocal Microscopy Tiled Pyramidal Image Storage", "image"),
    row(_R + "77.2",                           "VLMultiFrameImageStorageTrial",                                       "VL Multi-frame Image Storage - Trial", "image", retired=True),
    row(_R + "78.1",                           "LensometryMeasurementsStorage",                                       "Lensometry Measurements Storage", "measurements"),
    row(_R + "78.2",                           "AutorefractionMeasurementsStorage",                                   "Autorefraction Measurements Storage", "measurements"),
    row(_R + "78.3",                           "KeratometryMeasurementsStorage",                                      "Keratometry Measurements Storage", "measurements"),
    row(_R + "78.4",                           "SubjectiveRefractionMeasurementsStorage",                             "Subjective Refraction Measurements Storage", "measurements"),
    row(_R + "78.5",                           "VisualAcuityMeasurementsStorage",                                     "Visual Acuity Measurements Storage", "measurements"),
    row(_R + "78.6",                           "SpectaclePrescriptionReportStorage",                                  "Spectacle Prescription Report Storage", "measurements"),
    row(_R + "78.7",                           "OphthalmicAxialMeasurementsStorage",                                  "Ophthalmic Axial Measurements Storage", "measurements"),
    row(_R + "78.8",                           "IntraocularLensCalculationsStorage",                                  "Intraocular Lens Calculations Storage", "measurements"),
    row(_R + "79.1",                           "MacularGridThicknessAndVolumeReportStorage",                          "Macular Grid Thickness and Volume Report Storage", "report"),
    row(_R + "80.1",                           "OphthalmicVisualFieldStaticPerimetryMeasurementsStorage",             "Ophthalmic Visual Field Static Perimetry Measurements Storage", "measurements"),
    row(_R + "81.1",                           "OphthalmicThicknessMapStorage",                                       "Ophthalmic Thickness Map Storage", "image"),
    row(_R + "82.1",                           "CornealTopographyMapStorage",                                         "Corneal Topography Map Storage", "image"),
    row(_R + "88.1",                           "TextSRStorageTrial",                                                  "Text SR Storage - Trial", "report", retired=True),
    row(_R + "88.2",                           "AudioSRStorageTrial",                                                 "Audio SR Storage - Trial", "report", retired=True),
    row(_R + "88.3",                           "DetailSRStorageTrial",                                                "Detail SR Storage - Trial", "report", retired=True),
    row(_R + "88.4",                           "ComprehensiveSRStorageTrial",                                         "Comprehensive SR Storage - Trial", "report", retired=True),
    row(_R + "88.11",                          "BasicTextSRStorage",                                                  "Basic Text SR Storage", "report"),
    row(_R + "88.22",                          "EnhancedSRStorage",                                                   "Enhanced SR Storage", "report"),
    row(_R + "88.33",                          "ComprehensiveSRStorage",                                              "Comprehensive SR Storage", "report"),
    row(_R + "88.34",                          "Comprehensive3DSRStorage",                                            "Comprehensive 3D SR Storage", "report"),
    row(_R + "88.35",                          "ExtensibleSRStorage",                                                 "Extensible SR Storage", "report"),
    row(_R + "88.40",                          "ProcedureLogStorage",                                                 "Procedure Log Storage", "report"),
    row(_R + "88.50",                          "MammographyCADSRStorage",                                             "Mammography CAD SR Storage", "report"),
    row(_R + "88.59",                          "KeyObjectSelectionDocumentStorage",                                   "Key Object Selection Document Storage", "key-object"),
    row(_R + "88.65",                          "ChestCADSRStorage",                                                   "Chest CAD SR Storage", "report"),
    row(_R + "88.67",                          "XRayRadiationDoseSRStorage",                                          "X-Ray Radiation Dose SR Storage", "report"),
    row(_R + "88.68",                          "RadiopharmaceuticalRadiationDoseSRStorage",                           "Radiopharmaceutical Radiation Dose SR Storage", "report"),
    row(_R + "88.69",                          "ColonCADSRStorage",                                                   "Colon CAD SR Storage", "report"),
    row(_R + "88.70",                          "ImplantationPlanSRStorage",                                           "Implantation Plan SR Storage", "report"),
    row(_R + "88.71",                          "AcquisitionContextSRStorage",                                         "Acquisition Context SR Storage", "report"),
    row(_R + "88.72",                          "SimplifiedAdultEchoSRStorage",                                        "Simplified Adult Echo SR Storage", "report"),
    row(_R + "88.73",                          "PatientRadiationDoseSRStorage",                                       "Patient Radiation Dose SR Storage", "report"),
    row(_R + "88.74",                          "PlannedImagingAgentAdministrationSRStorage",                          "Planned Imaging Agent Administration SR Storage", "report"),
    row(_R + "88.75",                          "PerformedImagingAgentAdministrationSRStorage",                        "Performed Imaging Agent Administration SR Storage", "report"),
    row(_R + "88.76",                          "EnhancedXRayRadiationDoseSRStorage",                                  "Enhanced X-Ray Radiation Dose SR Storage", "report"),
    row(_R + "88.77",                          "WaveformAnnotationSRStorage",                                         "Waveform Annotation SR Storage", "report"),
    row(_R + "90.1",                           "ContentAssessmentResultsStorage",                                     "Content Assessment Results Storage", "measurements"),
    row(_R + "91.1",                           "MicroscopyBulkSimpleAnnotationsStorage",                              "Microscopy Bulk Simple Annotations Storage", "annotation"),
    row(_R + "104.1",                          "EncapsulatedPDFStorage",                                              "Encapsulated PDF Storage", "document"),
    row(_R + "104.2",                          "EncapsulatedCDAStorage",                                              "Encapsulated CDA Storage", "document"),
    row(_R + "104.3",                          "EncapsulatedSTLStorage",                                              "Encapsulated STL Storage", "document"),
    row(_R + "104.4",                          "EncapsulatedOBJStorage",                                              "Encapsulated OBJ Storage", "document"),
    row(_R + "104.5",                          "EncapsulatedMTLStorage",                                              "Encapsulated MTL Storage", "document"),
    row(_R + "128",                            "PositronEmissionTomographyImageStorage",                              "Positron Emission Tomography Image Storage", "image"),
    row(_R + "128.1",                          "LegacyConvertedEnhancedPETImageStorage",                              "Legacy Converted Enhanced PET Image Storage", "image"),
    row(_R + "129",                            "StandalonePETCurveStorage",                                           "Standalone PET Curve Storage", "curve", retired=True),
    row(_R + "130",                            "EnhancedPETImageStorage",                                             "Enhanced PET Image Storage", "image"),
    row(_R + "131",                            "BasicStructuredDisplayStorage",                                       "Basic Structured Display Storage", "presentation"),
    row(_R + "200.1",                          "CTDefinedProcedureProtocolStorage",                                   "CT Defined Procedure Protocol Storage", "protocol", resource="defined-procedure-protocols"),
    row(_R + "200.2",                          "CTPerformedProcedureProtocolStorage",                                 "CT Performed Procedure Protocol Storage", "protocol"),
    row(_R + "200.3",                          "ProtocolApprovalStorage",                                             "Protocol Approval Storage", "protocol", resource="protocol-approvals"),
    row(_R + "200.7",                          "XADefinedProcedureProtocolStorage",                                   "XA Defined Procedure Protocol Storage", "protocol", resource="defined-procedure-protocols"),
    row(_R + "200.8",                          "XAPerformedProcedureProtocolStorage",                                 "XA Performed Procedure Protocol Storage", "protocol"),
    row(_R + "201.1",                          "InventoryStorage",                                                    "Inventory Storage", "inventory", resource="inventories"),
    row(_R + "481.1",                          "RTImageStorage",                                                      "RT Image Storage", "image"),
    row(_R + "481.2",                          "RTDoseStorage",                                                       "RT Dose Storage", "dose"),
    row(_R + "481.3",                          "RTStructureSetStorage",                                               "RT Structure Set Storage", "structure-set"),
    row(_R + "481.4",                          "RTBeamsTreatmentRecordStorage",                                       "RT Beams Treatment Record Storage", "rt"),
    row(_R + "481.5",                          "RTPlanStorage",                                                       "RT Plan Storage", "rt"),
    row(_R + "481.6",                          "RTBrachyTreatmentRecordStorage",                                      "RT Brachy Treatment Record Storage", "rt"),
    row(_R + "481.7",                          "RTTreatmentSummaryRecordStorage",                                     "RT Treatment Summary Record Storage", "rt"),
    row(_R + "481.8",                          "RTIonPlanStorage",                                                    "RT Ion Plan Storage", "rt"),
    row(_R + "481.9",                          "RTIonBeamsTreatmentRecordStorage",                                    "RT Ion Beams Treatment Record Storage", "rt"),
    row(_R + "481.10",                         "RTPhysicianIntentStorage",                                            "RT Physician Intent Storage", "rt"),
    row(_R + "481.11",                         "RTSegmentAnnotationStorage",                                          "RT Segment Annotation Storage", "rt"),
    row(_R + "481.12",                         "RTRadiationSetStorage",                                               "RT Radiation Set Storage", "rt"),
    row(_R + "481.13",                         "CArmPhotonElectronRadiationStorage",                                  "C-Arm Photon-Electron Radiation Storage", "rt"),
    row(_R + "481.14",                         "TomotherapeuticRadiationStorage",                                     "Tomotherapeutic Radiation Storage", "rt"),
    row(_R + "481.15",                         "RoboticArmRadiationStorage",                                          "Robotic-Arm Radiation Storage", "rt"),
    row(_R + "481.16",                         "RTRadiationRecordSetStorage",                                         "RT Radiation Record Set Storage", "rt"),
    row(_R + "481.17",                         "RTRadiationSalvageRecordStorage",                                     "RT Radiation Salvage Record Storage", "rt"),
    row(_R + "481.18",                         "TomotherapeuticRadiationRecordStorage",                               "Tomotherapeutic Radiation Record Storage", "rt"),
    row(_R + "481.19",                         "CArmPhotonElectronRadiationRecordStorage",                            "C-Arm Photon-Electron Radiation Record Storage", "rt"),
    row(_R + "481.20",                         "RoboticRadiationRecordStorage",                                       "Robotic Radiation Record Storage", "rt"),
    row(_R + "481.21",                         "RTRadiationSetDeliveryInstructionStorage",                            "RT Radiation Set Delivery Instruction Storage", "rt"),
    row(_R + "481.22",                         "RTTreatmentPreparationStorage",                                       "RT Treatment Preparation Storage", "rt"),
    row(_R + "481.23",                         "EnhancedRTImageStorage",                                              "Enhanced RT Image Storage", "image"),
    row(_R + "481.24",                         "EnhancedContinuousRTImageStorage",                                    "Enhanced Continuous RT Image Storage", "image"),
    row(_R + "481.25",                         "RTPatientPositionAcquisitionInstructionStorage",                      "RT Patient Position Acquisition Instruction Storage", "rt"),
    row(_R + "501.1",                          "DICOSCTImageStorage",                                                 "DICOS CT Image Storage", "image"),
    row(_R + "501.2.1",                        "DICOSDigitalXRayImageStorageForPresentation",                         "DICOS Digital X-Ray Image Storage - For Presentation", "image"),
    row(_R + "501.2.2",                        "DICOSDigitalXRayImageStorageForProcessing",                           "DICOS Digital X-Ray Image Storage - For Processing", "image"),
    row(_R + "501.3",                          "DICOSThreatDetectionReportStorage",                                   "DICOS Threat Detection Report Storage", "measurements"),
    row(_R + "501.4",                          "DICOS2DAITStorage",                                                   "DICOS 2D AIT Storage", "image"),
    row(_R + "501.5",                          "DICOS3DAITStorage",                                                   "DICOS 3D AIT Storage", "image"),
    row(_R + "501.6",                          "DICOSQuadrupoleResonanceStorage",                                     "DICOS Quadrupole Resonance (QR) Storage", "image"),
    row(_R + "601.1",                          "EddyCurrentImageStorage",                                             "Eddy Current Image Storage", "image"),
    row(_R + "601.2",                          "EddyCurrentMultiFrameImageStorage",                                   "Eddy Current Multi-frame Image Storage", "image"),
    row("1.2.840.10008.5.1.4.34.1",            "RTBeamsDeliveryInstructionStorageTrial",                              "RT Beams Delivery Instruction Storage - Trial", "rt", retired=True),
    row("1.2.840.10008.5.1.4.34.7",            "RTBeamsDeliveryInstructionStorage",                                   "RT Beams Delivery Instruction Storage", "rt"),
    row("1.2.840.10008.5.1.4.34.10",           "RTBrachyApplicationSetupDeliveryInstructionStorage",                  "RT Brachy Application Setup Delivery Instruction Storage", "rt"),
    row("1.2.840.10008.5.1.4.38.1",            "HangingProtocolStorage",                                              "Hanging Protocol Storage", "hanging-protocol", resource="hanging-protocols"),
    row("1.2.840.10008.5.1.4.39.1",            "ColorPaletteStorage",                                                 "Color Palette Storage", "palette", resource="color-palettes"),
    row("1.2.840.10008.5.1.4.43.1",            "GenericImplantTemplateStorage",                                       "Generic Implant Template Storage", "implant-template", resource="implant-templates"),
    row("1.2.840.10008.5.1.4.44.1",            "ImplantAssemblyTemplateStorage",                                      "Implant Assembly Template Storage", "implant-template", resource="implant-templates"),
    row("1.2.840.10008.5.1.4.45.1",            "ImplantTemplateGroupStorage",                                         "Implant Template Group Storage", "implant-template", resource="implant-templates"),
)
# fmt: on

# TABLE: private SOP Classes of wide-spread products that carry no objects: nothing is stored by them.
# A UID that ends with a dot stands for all below it.
PRIVATE_SERVICES: Final[dict[str, str]] = {
    "1.2.276.0.7230010.3.4.1915765545.18030.917282194.0": "DCMTK: shut down",
    "1.2.40.0.13.1.5.1.4.1.2.": "dcm4che: queries of its own",
}

BY_UID: Final[dict[str, SopClass]] = {each.uid: each for each in TABLE}

KINDS_WITH_CONTENT_TREE: Final = frozenset({"report", "key-object"})


def is_private_service(uid: str) -> bool:
    """Whether the UID is known as a private SOP Class that is not for storage."""
    return any(
        uid == known or (known.endswith(".") and uid.startswith(known))
        for known in PRIVATE_SERVICES
    )


def sop_class(uid: str) -> SopClass:
    """The row of the UID, or one of kind `unknown` for a private or future SOP Class."""
    return BY_UID.get(uid) or SopClass(uid, "", "Unknown SOP Class", "unknown")
