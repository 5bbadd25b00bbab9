; KISSlicer - PREMIUM
; Linux
; version 2 a 2.0.6 Linux64
; Saved: 2026-03-04 05:06:07
; num_extruders = 2
; nozzle_dia_1 = 0.4
; nozzle_dia_2 = 0.6
; nozzle_dia_3 = 0.4
; material_name = House ABS
; first_layer_C = 245
; bed_C = 100
; chamber_C = 50
; fiber_dia_mm = 1.75
; style_name = fine
; layer_thickness_mm = 0.2
; max_layer_thickness_mm = 0
; first_layer_thickness_mm = 0
M190 S100
M109 S245
; BEGIN_LAYER_OBJECT z=0.300 z_thickness=0.300
G1 X1 Y1 Z0.3 F900
G1 X20 Y10 E0.5
; END_LAYER_OBJECT z=0.300
; BEGIN_LAYER_OBJECT z=0.500 z_thickness=0.200
G1 X1 Y1 Z0.5 F900
G1 X20 Y10 E1.0
; END_LAYER_OBJECT z=0.500
M104 S0
; Calculated-during-export Build Time: 1.83 minutes
; Estimated-in-GUI Build Time:         2.23 minutes
; Estimated-in-GUI Build Cost:         $0.12
;
; Filament used per extruder:
;    Ext #1  =     100.10 mm  (0.241 cm^3)
;    Ext #2  =     20.00 mm  (0.048 cm^3)
