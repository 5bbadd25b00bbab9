; Sliced by Canvas

; [Printer]
;   [Extruder 1]
;     nozzleDiameter = 0.4 mm
; [Style]
;   layerThickness = 0.2 mm
;   firstLayerThickness = 0.3 mm
;   infillDensityDenominator = 5
;   infillStyle = Straight
; [Material 1]
;   materialName = Material 1
;   firstLayerTemperature = 230 degrees C
;   bedTemperature = 60 degrees C
;   filamentDiameter = 1.75 mm
M104 S150
M109 S230
; BEGIN_LAYER_OBJECT z=0.300 z_thickness=0.2
; Layer 1
G1 X1 Y1 Z0.3 F900
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E1.0
G1 X10 Y20 E1.5
G1 X10 Y10 E2.0
; END_LAYER_OBJECT z=0.300
; BEGIN_LAYER_OBJECT z=0.500 z_thickness=0.2
; Layer 2
G1 X1 Y1 Z0.5 F900
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E1.0
G1 X10 Y20 E1.5
G1 X10 Y10 E2.0
; END_LAYER_OBJECT z=0.500
; *** Print Summary ***
; Filament used per extruder:
;    Ext 1 = 1319.03 mm  (3.173 cm^3)
;
; Estimated Build Time:   18.48 minutes
