; Generated with MatterSlice 1.0
; filamentDiameter = 1.75
; layerThickness = 0.21
; firstLayerThickness = 0.42
M190 S115 ; wait for bed temperature to be reached
M104 T0 S240 ; start heating extruder 0
M109 T0 S240
G90
; Layer count: 2
; LAYER:0
T0
G0 F9000 X1 Y1 Z0.42
; TYPE:SKIRT
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E1.0
G1 X10 Y20 E1.5
G1 X10 Y10 E2.0
; LAYER:1
T1
G0 F9000 X1 Y1 Z0.63
; TYPE:SKIRT
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E1.0
G1 X10 Y20 E1.5
G1 X10 Y10 E2.0
; filament used = 3676.6
; filament used extruder 1 (mm) = 3600.0
; filament used extruder 2 (mm) = 76.6
; total print time (s) = 8194
; infillPercent = 35
; infillType = TRIANGLES
; generateSupport = False
